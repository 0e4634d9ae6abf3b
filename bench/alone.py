#!/usr/bin/env python3
"""Tables of Iron Learn alone: the same bits for any number of threads, the instruction sets, denormal numbers, how
cost grows with rows, the planning of large networks, and what guard and saves cost.
`bench/alone.py [threads isa denormals rows planning guard saves]`; see README.md."""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKER = HERE / "ironlearn" / "target" / "release" / "bench-ironlearn"

JOBS = [
    ("tiny", "xor"),
    ("small-net", "batch-32"),
    ("logistic", "f64"),
    ("cnn", "f32"),
    ("char-lm", "f32"),
    ("image-net", "f32-adam"),
    ("image-net", "bf16-adam"),
    ("image-net", "f64-adam"),
]


# What ends a run with an error, when all tables are there.
WRONG = "DIFFERENT"


def worker(job: str, case: str, *options: str, isa: str = "") -> str:
    environment = {**os.environ, **({"IRONLEARN_ISA": isa} if isa else {})}
    command = [WORKER, "--job", job, "--case", case, *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def rate(
    job: str, case: str, *options: str, isa: str = "", seconds: float = 1, runs: int = 3
) -> tuple[float, str, int]:
    """Value, unit, and the process's largest size in MB; the best of some runs."""
    best = None
    for _ in range(runs):
        line = worker(job, case, "--seconds", str(seconds), *options, isa=isa)
        value, rest = line.split(" ", 1)
        unit, _, rest = rest.partition("   ")
        per_second = float(rest.split()[0])
        if best is None or per_second > best[0]:
            best = per_second, float(value), unit, int(line.split("   ")[-1].split()[0])
    return best[1:]


def digits(x: float) -> str:
    return f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"


def threads() -> Iterator[str]:
    """All state after 20 steps."""
    yield from ["## The same bits for any number of threads", "", "| job | case | 1, 2, 3, 8 threads |", "|---|---|---|"]
    for job, case in JOBS:
        hashes = {worker(job, case, "--hash", "--threads", str(n)) for n in (1, 2, 3, 8)}
        found = f"same: {hashes.pop()}" if len(hashes) == 1 else f"{WRONG}: {sorted(hashes)}"
        yield f"| {job} | {case} | {found} |"


def isa() -> Iterator[str]:
    """The same program with each instruction set forced: loss after 20 steps, rate."""
    sets = ["avx512", "avx512f", "avx2", "scalar"]
    yield from ["## Each instruction set forced", "", "| job | case | set | loss after 20 steps | away from the first | rate |"]
    yield "|---|---|---|--:|--:|--:|"
    for job, case in JOBS:
        if case == "f64-adam":
            continue  # Minutes without vectors; logistic is in f64, too.
        first = None
        for name in sets:
            try:
                loss = float(worker(job, case, "--loss", isa=name))
            except subprocess.CalledProcessError as error:
                yield f"| {job} | {case} | {name} | {error.stderr.strip()} | | |"
                continue
            first = loss if first is None else first
            value, unit, _ = rate(job, case, isa=name, seconds=0.5, runs=1)
            far = abs(loss - first) / abs(first)
            away = f"{far:.1e}" if far < 2e-2 else f"{WRONG}: {far:.1e}"
            yield f"| {job} | {case} | {name} | {loss:.9g} | {away} | {digits(value)} {unit} |"


def denormals() -> Iterator[str]:
    """Inputs so small that moments (1e-18) or activations (1e-39) are below the smallest normal number."""
    yield from ["## Denormal numbers", "", "| job | case | inputs as they are | times 1e-18 | times 1e-39 |", "|---|---|--:|--:|--:|"]
    for job, case in [("image-net", "f32-adam"), ("small-net", "batch-32"), ("char-lm", "f32"), ("cnn", "f32")]:
        cells = []
        for scale in ("1", "1e-18", "1e-39"):
            try:
                value, unit, _ = rate(job, case, "--scale", scale)
                cells.append(f"{digits(value)} {unit}")
            except subprocess.CalledProcessError:
                # Layer norm of nothing but zeros multiplies gradients by 300 in every layer.
                cells.append("gradients overflow: refused")
        yield f"| {job} | {case} | {' | '.join(cells)} |"


def rows() -> Iterator[str]:
    """Cost per row, and memory."""
    yield from ["## How cost grows with rows", "", "| rows | a step on all | epochs, in memory | epochs, from files |", "|--:|--:|--:|--:|"]
    for n in (10**3, 10**4, 10**5, 10**6, 10**7):
        cells = [rate(job, str(n)) for job in ("rows", "epochs", "epochs-from-files")]
        yield f"| {n:,} | " + " | ".join(f"{digits(v)} {unit}, {mb} MB" for v, unit, mb in cells) + " |"


def planning() -> Iterator[str]:
    """Trace, gradient, plan, compilation."""
    yield from ["## Planning a training step", "", "| million parameters | time |", "|--:|--:|"]
    for millions in (4, 20, 100, 400):
        yield f"| {millions} | {digits(rate('planning', str(millions))[0])} s |"


class Worker:
    """A worker that is ready to run."""

    def __init__(self, job: str, case: str, *options: str) -> None:
        command = [WORKER, "--job", job, "--case", case, *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def seconds_per_step(self, seconds: float) -> float:
        self.process.stdin.write(f"run {seconds}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"] / answer["steps"]

    def end(self) -> None:
        self.process.communicate("quit\n")


def extra(ratios: list[float]) -> str:
    """How much longer it takes: the median of pairs, and the middle half of them."""
    low, middle, high = statistics.quantiles([(r - 1) * 100 for r in ratios], n=4)
    return f"{middle:+.2f} % | {low:+.2f} to {high:+.2f} %"


def guard() -> Iterator[str]:
    """Steps with and without the look at loss, gradients and new state, in turns."""
    yield from ["## The look for values that are not finite", "", "| job | case | more time, median of 60 pairs | middle half |", "|---|---|--:|--:|"]
    for job, case in [("image-net", "f32-adam"), ("small-net", "batch-32"), ("logistic", "f64"), ("char-lm", "f32")]:
        pair = Worker(job, case), Worker(job, case, "--unchecked")
        ratios = []
        for i in range(61):
            # Who comes first changes, as the machine may be on its way to another speed.
            times = [worker.seconds_per_step(0.25) for worker in pair[:: 1 if i % 2 else -1]]
            checked, unchecked = times[:: 1 if i % 2 else -1]
            ratios.append(checked / unchecked)
        for worker in pair:
            worker.end()
        yield f"| {job} | {case} | {extra(ratios[1:])} |"


def saves() -> Iterator[str]:
    """The main job by the program, with a save every second and without: whole time of the process."""
    yield from ["## A save every second", "", "| job | seconds without | more time, median of 9 pairs | middle half |", "|---|--:|--:|--:|"]
    root = HERE.parent
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "ironlearn-cli"], cwd=root, check=True)

    def seconds(interval: str) -> float:
        with tempfile.TemporaryDirectory(dir=HERE / "data") as folder:
            command = ["target/release/ironlearn", "train", "jobs/picture.toml", "--out", f"{folder}/run", "--quiet", "--json"]
            begin = time.perf_counter()
            subprocess.run([*command, "--set", f"train.save_interval={interval}"], cwd=root, check=True, capture_output=True)
            return time.perf_counter() - begin

    ratios, without = [], []
    for i in range(10):
        order = ["1s", "1h"] if i % 2 else ["1h", "1s"]
        times = {interval: seconds(interval) for interval in order}
        ratios.append(times["1s"] / times["1h"])
        without.append(times["1h"])
    yield f"| jobs/picture.toml | {statistics.median(without):.2f} | {extra(ratios[1:])} |"


def main() -> None:
    tables = {f.__name__: f for f in (threads, isa, denormals, rows, planning, guard, saves)}
    chosen = sys.argv[1:] or list(tables)
    subprocess.run([sys.executable, HERE / "data.py"], check=True)
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=HERE / "ironlearn", check=True)
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout.strip()
    now = datetime.datetime.now()
    name = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    out = HERE / "results" / f"alone-{now:%Y-%m-%d-%H%M}-{head}.md"
    text = f"# Iron Learn alone, {now:%Y-%m-%d %H:%M}, commit {head}\n\n{name}, {os.cpu_count()} cores, 2 threads where nothing else is said.\n"
    print(text)
    for table in chosen:
        text += "\n"
        for line in tables[table]():
            print(line, flush=True)
            text += f"{line}\n"
        print()
    out.write_text(text)
    print(out)
    if wrong := [line for line in text.splitlines() if WRONG in line]:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
