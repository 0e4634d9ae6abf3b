"""PyTorch and CuPy at the jobs that Iron Learn is timed with on a GPU.

    python3 bench/python/cuda_peers.py torch|cupy [--seconds N] [--only JOB] [--precision f32|tf32|bf16]

One process for a framework. Each figure is a line `key value`: `torch.image-net.tf32.graph.us` are microseconds of a
step, the median of 5 repeats after warm-up; `.loss` is the loss of the step after 20 others from the weights in
bench/data, as `bench-ironlearn --loss` prints it. What is not done before the seconds are over is told on standard
error. Data lie in the memory of the GPU; batches are copied from there.
"""

import argparse
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

WARM, CHECKED, REPEATS, REPEAT_SECONDS = 3, 21, 5, 0.2


@dataclass(frozen=True)
class Job:
    """A network of linear layers in bench/data, and how it is trained."""

    name: str
    folder: str
    sizes: tuple[int, ...]
    layers: tuple[str, ...]
    between: str
    classes: bool
    adam: bool
    rate: float
    # 0: all rows
    batch: int = 0


JOBS = [
    Job("image-net", "image-net", (2, 256, 256, 128, 1), ("l0", "l1", "l2", "l3"), "tanh", False, True, 1e-3),
    Job("small-net-32", "small-net", (784, 128, 10), ("hidden", "out"), "relu", True, True, 1e-3, 32),
    Job("small-net-128", "small-net", (784, 128, 10), ("hidden", "out"), "relu", True, True, 1e-3, 128),
    Job("xor", "tiny", (2, 4, 1), ("hidden", "out"), "tanh", False, False, 0.5),
]

# Runs so many steps, and gives the loss of the last where it lies.
Steps = Callable[[int], object]


@dataclass
class Run:
    """A training run: steps to take, and how many were taken."""

    steps: Steps
    done: int = 0

    def __call__(self, count: int) -> object:
        self.done += count
        return self.steps(count)


def measure(key: str, run: Run, wait: Callable[[], None]) -> None:
    """Prints the loss that is compared, then the time of a step."""
    print(f"{key}.loss {float(run(CHECKED - run.done)):.9e}", flush=True)

    def seconds(count: int) -> float:
        wait()
        begin = time.perf_counter()
        run(count)
        wait()
        return time.perf_counter() - begin

    seconds(20)
    count = max(5, int(50 * REPEAT_SECONDS / seconds(50)))
    times = [1e6 * seconds(count) / count for _ in range(REPEATS)]
    print(f"{key}.us {statistics.median(times):.3f}", flush=True)
    print(f"{key}.spread {(max(times) - min(times)) / min(times):.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("framework", choices=["torch", "cupy"])
    parser.add_argument("--seconds", type=float, default=1e9, help="begin nothing after so many")
    parser.add_argument("--only", help="a job; `picture` is one, for PyTorch")
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16"])
    args = parser.parse_args()
    if args.framework == "cupy" and args.precision == "tf32":
        os.environ["CUPY_TF32"] = "1"
    part = importlib.import_module(f"cuda_{args.framework}")
    end = time.monotonic() + args.seconds
    for key, task in part.tasks(args.only, args.precision):
        if time.monotonic() > end:
            print(f"{key}: no time left", file=sys.stderr)
            continue
        try:
            task(f"{args.framework}.{key}")
        except Exception as e:  # the other figures are still wanted
            print(f"{key}: {type(e).__name__}: {str(e)[:300]}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    # The module is called `__main__` now; the parts import it by its name.
    sys.modules["cuda_peers"] = sys.modules["__main__"]
    main()
