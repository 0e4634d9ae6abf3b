"""What a GPU can do at most, by PyTorch: bytes of a copy, and products of 8192 rows and columns in each precision."""

import statistics
from collections.abc import Callable

import torch


def seconds(call: Callable[[], object], count: int) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    for _ in range(6):
        begin.record()
        for _ in range(count):
            call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3 / count)
    return statistics.median(times[1:])


def main() -> None:
    x = torch.empty(2**32, dtype=torch.uint8, device="cuda").random_()
    y = torch.empty_like(x)
    print("ceiling.copy.GB/s", round(2 * len(x) / seconds(lambda: y.copy_(x), 5) / 1e9))
    del x, y
    for name, dtype, tf32 in (("bf16", torch.bfloat16, True), ("tf32", torch.float32, True), ("f32", torch.float32, False)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = (torch.randn(8192, 8192, device="cuda").to(dtype) for _ in range(2))
        c = torch.empty_like(a)

        def product(a: torch.Tensor = a, b: torch.Tensor = b, c: torch.Tensor = c) -> torch.Tensor:
            return torch.matmul(a, b, out=c)

        print(f"ceiling.{name}.TFLOP/s", round(2 * 8192**3 / seconds(product, 4) / 1e12, 1))


if __name__ == "__main__":
    main()
