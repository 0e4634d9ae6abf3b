"""The jobs and their cases, and what a step of each costs."""

from dataclasses import dataclass

# How far the loss after 20 steps may be from that of the reference, as a share of it.
TOLERANCE = {"f32": 1e-4, "f64": 1e-10, "bf16": 2e-2, "i8": 0.0}
# A step of this job costs so many multiply-adds of matrix products, forward and backward.
IMAGE_NET = 40_000 * 3 * (2 * 256 + 256 * 256 + 256 * 128 + 128)
SMALL_NET = 3 * 128 * 10 + 2 * 784 * 128
CHAR_LM = 2048 * 3 * (4 * 12 * 128 * 128 + 128 * 65 + 4 * 2 * 64 * 128)
CNN = 64 * (2 * 28 * 28 * 16 * 9 + 3 * (14 * 14 * 32 * 16 * 9 + 32 * 49 * 10))


@dataclass(frozen=True)
class Case:
    """One row of the comparison, and what a step of it costs."""

    job: str
    name: str
    dtype: str
    unit: str
    # The value is so many of these a step and second; with `time` the time of so many steps.
    work: float
    time: bool = False
    seconds: float = 1.5
    multiply_adds: float = 0.0
    bytes: float = 0.0
    # Whose loss is the measure of all.
    reference: str = "torch"

    @property
    def tolerance(self) -> float:
        # A runtime that rounds in floats is a step off now and then.
        return 1e-3 if self.job == "integers" else TOLERANCE[self.dtype]

    def value(self, rate: float) -> float:
        """In the unit, of steps per second."""
        return self.work / rate if self.time else self.work * rate


def gemm(dtype: str, size: str) -> Case:
    m, n, k = (int(s) for s in (size.split("x") if "x" in size else [size] * 3))
    unit = "GOP/s" if dtype == "i8" else "GFLOP/s"
    return Case("gemm", f"{dtype}-{size}", dtype, unit, 2e-9 * m * n * k, seconds=0.3, multiply_adds=m * n * k)


def all_cases() -> list[Case]:
    small, gemms = ("steps/s", 1.0), ("64", "256", "1024", "4096", "128x256x256")
    cases = [gemm(dtype, size) for dtype in TOLERANCE for size in gemms]
    for dtype in ("f32", "f64", "bf16"):
        for rule in ("sgd", "adam"):
            unit = "s/100 epochs"
            cases.append(Case("image-net", f"{dtype}-{rule}", dtype, unit, 100, True, 1.0, multiply_adds=IMAGE_NET))
    for n in (32, 128):
        cases.append(Case("small-net", f"batch-{n}", "f32", *small, multiply_adds=n * SMALL_NET))
    cases.append(Case("tiny", "xor", "f32", *small))
    for dtype in ("f32", "bf16"):
        cases.append(Case("char-lm", dtype, dtype, "tokens/s", 2048, multiply_adds=CHAR_LM))
    cases.append(Case("cnn", "f32", "f32", "images/s", 64, multiply_adds=CNN))
    cases.append(Case("logistic", "f64", "f64", "s/1000 steps", 1000, True, bytes=100_000 * 30 * 8))
    for n in (1, 1024):
        cost = n * (784 * 128 + 1280) if n > 1 else 0
        cases.append(Case("serve", f"batch-{n}", "f32", "us", 1e6, True, multiply_adds=cost))
    for n in (1, 1024):
        for dtype in ("f32", "i8"):
            cost = n * (784 * 200 + 200 * 100 + 100 * 50 + 500) if n > 1 else 0
            cases.append(Case("integers", f"{dtype}-batch-{n}", dtype, "us", 1e6, True, multiply_adds=cost, reference="ironlearn"))
    cases.append(Case("start", "xor", "f32", "ms", 1e3, True))
    return cases
