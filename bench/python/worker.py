"""What the Python workers share: command line, data, the conversation with the harness."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parent.parent / "data"

# Runs so many steps, and gives the loss of the last.
Steps = Callable[[int], float]


class Unsupported(Exception):
    """The framework cannot do this case, or it was left out; says why."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", required=True)
    parser.add_argument("--case", required=True)
    parser.add_argument("--variant", default="")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, help="run for so long by hand")
    return parser.parse_args()


def load(name: str) -> np.ndarray:
    return np.load(DATA / f"{name}.npy")


def initial(job: str) -> dict[str, np.ndarray]:
    """The initial weights of a job by name."""
    return {path.name.removesuffix(".npy"): np.load(path) for path in sorted((DATA / job).glob("*.*.npy"))}


def pixels() -> np.ndarray:
    """MNIST's images in [-0.5, 0.5)."""
    x = load("mnist/images").astype(np.float32)
    x /= 256
    x -= 0.5
    return x


def sizes(case: str) -> tuple[str, int, int, int]:
    """Type and sizes of a case of gemm: `f32-1024` or `f32-128x256x256`."""
    dtype, _, size = case.partition("-")
    m, n, k = (int(s) for s in (size.split("x") if "x" in size else [size] * 3))
    return dtype, m, n, k


def factor(dtype: str, rows: int, cols: int) -> np.ndarray:
    """A matrix whose products are exact in every type."""
    x = np.arange(rows)[:, None] * 7 + np.arange(cols)[None, :] * 13
    if dtype == "i8":
        return (x % 255 - 127).astype(np.int8)
    return ((x % 17 - 8) / 8).astype(np.float64 if dtype == "f64" else np.float32)


def mean_size(x: np.ndarray) -> float:
    """What stands for a loss where there is none."""
    return np.abs(np.asarray(x).astype(np.float64)).mean().item()


def timed(steps: Steps, seconds: float) -> tuple[int, float]:
    """Runs for about so long. Gives steps and seconds."""
    begin, done, portion = time.perf_counter(), 0, 1
    while True:
        steps(portion)
        done += portion
        taken = time.perf_counter() - begin
        if taken >= seconds:
            return done, taken
        # Portions of about 20 ms: a framework that works ahead of the caller is waited for after each.
        portion = max(1, min(int(done / taken * 0.02), int(done / taken * (seconds - taken))))


def main(version: str, build: Callable[[argparse.Namespace], Steps]) -> None:
    """Answers the harness: `loss N`, `run SECONDS`, `quit`; one line of JSON each."""
    args = arguments()

    def answer(**values: object) -> None:
        print(json.dumps(values), flush=True)

    if args.job == "start":
        args.job = "tiny"
        answer(loss=build(args)(10))
        return
    try:
        steps = build(args)
    except Unsupported as reason:
        answer(unsupported=str(reason))
        return
    if args.seconds:
        timed(steps, min(args.seconds, 1.0))
        done, taken = timed(steps, args.seconds)
        print(f"{done / taken:.2f} steps/s   {1e6 * taken / done:.3f} us/step")
        return
    answer(ready=True, version=version)
    for line in sys.stdin:
        what, _, n = line.partition(" ")
        if what == "loss":
            answer(loss=steps(int(n) + 1))
        elif what == "run":
            done, taken = timed(steps, float(n))
            answer(steps=done, seconds=taken)
        else:
            break


def limit_cpus(threads: int) -> None:
    """For frameworks that have no other way to say how many threads they may use."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
