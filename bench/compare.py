"""The comparison: every job on every framework, in short blocks taken in turn. See README.md."""

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from cases import Case, all_cases, gemm
from workers import HERE, PYTHON, THREADS, Framework, LeftOut, Worker, all_frameworks, environment

CHECKED_STEPS = 20


@dataclass
class Row:
    """What was found for a framework in a case."""

    case: Case
    framework: str
    rates: list[float] = field(default_factory=list)
    peak_memory: int = 0
    reason: str = ""

    @property
    def values(self) -> list[float]:
        return [self.case.value(rate) for rate in self.rates]

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


class Others:
    """What other processes, and other guests of the same machine, take of the CPU from here on."""

    def __init__(self) -> None:
        self.begin = self.counters()

    @staticmethod
    def counters() -> tuple[float, float, float]:
        """Seconds on the clock, of all processors that were not idle, and of this process and its children."""
        times = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        busy = sum(times[:3]) + sum(times[5:8])
        own = os.times()
        return time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), sum(own[:4])

    def share(self) -> float:
        clock, busy, own = (now - before for now, before in zip(self.counters(), self.begin))
        return max(busy - own, 0) / (clock * (os.cpu_count() or 1))


class Comparison:
    def __init__(self, frameworks: list[Framework], rounds: int, seconds: float | None) -> None:
        self.frameworks = frameworks
        self.rounds = rounds
        self.seconds = seconds
        self.others = Others()
        self.rows: list[Row] = []
        self.versions: dict[str, str] = {}
        # The best rate of multiply-adds of any framework by type, and of bytes: the practical limits.
        self.limits: dict[str, float] = {}

    def measure(self, case: Case, frameworks: list[Framework], rounds: int) -> list[Row]:
        """All frameworks in one case: checked against the reference, then block after block in turn."""
        reference = next(f for f in all_frameworks() if f.name == case.reference)
        used = [f for f in frameworks if not f.jobs or case.job in f.jobs]
        workers = [Worker(f, case) for f in [reference, *(f for f in used if f.name != reference.name)]]
        rows = {f.name: Row(case, f.name) for f in used}
        steps = 0 if case.job in ("gemm", "memory", "serve", "integers") else CHECKED_STEPS
        try:
            for worker in workers:
                worker.ask(f"loss {steps}")
            running, expected = [], math.nan
            for worker in workers:
                row = rows.get(worker.framework.name, Row(case, ""))
                try:
                    loss = worker.loss()
                    if worker.framework == reference:
                        expected = loss
                    if not abs(loss - expected) <= case.tolerance * abs(expected):
                        raise LeftOut(f"WRONG: the loss is {loss:.12g}, that of {reference.name} {expected:.12g}")
                    if row.framework:
                        running.append(worker)
                    self.versions[worker.framework.base] = worker.version
                except LeftOut as reason:
                    row.reason = str(reason)
            for number in range(rounds + 1):
                for worker in running[:: 1 if number % 2 else -1]:
                    seconds = self.seconds or case.seconds
                    rate = worker.block(seconds if number else min(seconds, 0.2))
                    # The first block only warms up.
                    if number:
                        rows[worker.framework.name].rates.append(rate)
            for worker in running:
                rows[worker.framework.name].peak_memory = worker.peak_memory()
        finally:
            for worker in workers:
                worker.end()
        return list(rows.values())

    def note_limits(self, rows: list[Row]) -> None:
        for row in rows:
            case, best = row.case, max(row.rates, default=0.0)
            if case.job == "gemm":
                self.limits[case.dtype] = max(self.limits.get(case.dtype, 0.0), best * case.multiply_adds)
            elif case.job == "memory":
                self.limits["memory"] = max(self.limits.get("memory", 0.0), best * case.bytes)

    def find_limits(self, cases: list[Case]) -> None:
        """Products and reading of memory by those who do them best, where the table lacks them."""
        few = [f for f in all_frameworks() if f.name in ("ironlearn", "numpy", "torch", "onnxruntime")]
        there = {case.dtype for case in cases if case.job == "gemm" and case.name.endswith("-4096")}
        for dtype in sorted({case.dtype for case in cases if case.multiply_adds} - there):
            progress(f"limit of {dtype}")
            self.note_limits(self.measure(gemm(dtype, "2048"), few, 3))
        if any(case.bytes for case in cases):
            progress("limit of memory")
            for size in {case.bytes for case in cases if case.bytes}:
                reading = Case("memory", f"read-{size // 1_000_000}MB", "f64", "", 1, bytes=size)
                self.note_limits(self.measure(reading, [named("torch")], 3))

    def start(self, case: Case) -> list[Row]:
        """Whole processes: their time, the largest memory, and the size of what has to be installed."""
        used = [f for f in self.frameworks if not f.jobs]
        rows = [Row(case, f.name) for f in used]
        for number in range(self.rounds + 1):
            for framework, row in zip(used, rows):
                begin = time.perf_counter()
                process = subprocess.Popen(
                    framework.arguments("start", case.name), env=environment(), stdout=subprocess.DEVNULL
                )
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = status
                if status:
                    row.reason = "failed"
                elif number:
                    row.rates.append(1 / (time.perf_counter() - begin))
                    # A process begins with its parent's peak: what lies below that is not known.
                    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    row.peak_memory = usage.ru_maxrss * 1024 if usage.ru_maxrss > own else 0
        megabyte = Case("start", "size", "", "MB", 1e-6)
        return rows + [Row(megabyte, f.name, [installed_bytes(f)]) for f in used]

    def run(self, cases: list[Case]) -> None:
        self.find_limits(cases)
        for number, case in enumerate(cases, 1):
            progress(f"{number}/{len(cases)} {case.job} {case.name}")
            if case.job == "start":
                self.rows += self.start(case)
            else:
                rows = self.measure(case, self.frameworks, self.rounds)
                self.note_limits(rows)
                self.rows += rows

    def ratio(self, row: Row) -> float | None:
        """Speed (of sizes: smallness) as a multiple of the best peer's."""
        peers = [r for r in self.rows if r.case == row.case and r.rates and not r.framework.startswith("ironlearn")]
        if not peers:
            return None
        if row.case.name == "size":
            return min(peer.rate for peer in peers) / row.rate
        return row.rate / max(peer.rate for peer in peers)

    def fraction(self, row: Row) -> float | None:
        """Of the practical limit."""
        limit, cost = ("memory", row.case.bytes) if row.case.bytes else (row.case.dtype, row.case.multiply_adds)
        return row.rate * cost / self.limits[limit] if cost and limit in self.limits else None

    def objects(self) -> list[dict]:
        return [
            {
                "job": row.case.job,
                "case": row.case.name,
                "framework": row.framework,
                "median": statistics.median(row.values),
                "min": min(row.values),
                "max": max(row.values),
                "unit": row.case.unit,
                "ratio_to_best_peer": self.ratio(row),
                "fraction_of_limit": self.fraction(row),
                "peak_memory_bytes": row.peak_memory,
            }
            for row in self.rows
            if row.rates
        ]

    def table(self) -> str:
        lines = [
            "| job | case | framework | median | unit | min–max | to the best peer | of the limit | memory |",
            "|---|---|---|--:|---|--:|--:|--:|--:|",
        ]
        cases = list(dict.fromkeys(row.case for row in self.rows))
        for row in sorted(self.rows, key=lambda r: (cases.index(r.case), -self.order(r))):
            head = f"| {row.case.job} | {row.case.name} | {row.framework} |"
            if not row.rates:
                lines.append(f"{head} – | | | | | {row.reason} |")
                continue
            values, ratio, fraction = row.values, self.ratio(row), self.fraction(row)
            lines.append(
                f"{head} {digits(statistics.median(values))} | {row.case.unit} "
                f"| {digits(min(values))}–{digits(max(values))} | {f'{ratio:.2f}' if ratio else ''} "
                f"| {f'{100 * fraction:.0f} %' if fraction else ''} "
                f"| {f'{row.peak_memory / 1e6:.0f} MB' if row.peak_memory else ''} |"
            )
        return "\n".join(lines)

    def order(self, row: Row) -> float:
        return self.ratio(row) or row.rate if row.rates else -1.0


def digits(x: float) -> str:
    return f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"


def progress(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def named(name: str) -> Framework:
    return next(f for f in all_frameworks() if f.name == name)


def installed_bytes(framework: Framework) -> int:
    """The program, or the packages that it needs (not Python's interpreter, not the optional NVIDIA packages)."""
    if framework.crate:
        return os.path.getsize(framework.command[0])
    script = """
import re, sys
from importlib.metadata import distribution, PackageNotFoundError
todo, seen, total = [sys.argv[1]], set(), 0
while todo:
    name = todo.pop().lower().replace("_", "-")
    if name in seen or re.match("nvidia|cuda|triton", name): continue
    seen.add(name)
    try: package = distribution(name)
    except PackageNotFoundError: continue
    total += sum(f.size or 0 for f in package.files or [])
    todo += [re.match(r"[\\w.-]+", r)[0] for r in package.requires or [] if "extra ==" not in r]
print(total)
"""
    found = subprocess.run([PYTHON, "-c", script, framework.base], capture_output=True, text=True, check=True)
    return int(found.stdout)


def prepare(frameworks: list[Framework]) -> None:
    """Data, the Python environment, and the Rust workers."""
    subprocess.run([sys.executable, HERE / "data.py"], check=True)
    wanted, stamp = (HERE / "requirements.txt").read_text(), HERE / ".venv" / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        progress("installing the Python packages")
        subprocess.run([sys.executable, "-m", "venv", HERE / ".venv"], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)
    for crate in dict.fromkeys(f.crate for f in frameworks if f.crate):
        progress(f"building {crate}")
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=HERE / crate, check=True)


def build_times(frameworks: list[Framework]) -> str:
    """A clean build of each Rust worker with its dependencies, already downloaded."""
    lines = ["| clean build | wall | CPU |", "|---|--:|--:|"]
    for crate in dict.fromkeys(f.crate for f in frameworks if f.crate):
        with tempfile.TemporaryDirectory(dir=HERE) as target:
            begin, before = time.perf_counter(), os.times()
            command = ["cargo", "build", "--release", "--quiet", "--target-dir", target]
            subprocess.run(command, cwd=HERE / crate, check=True)
            after = os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            lines.append(f"| {crate} | {time.perf_counter() - begin:.0f} s | {cpu:.0f} s |")
    return "\n".join(lines)


def commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")


def heading(comparison: Comparison) -> str:
    information = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in information if line.startswith("model name")]
    cpu = names[0] if names else platform.machine()
    others = comparison.others.share()
    quiet = "; NOT QUIET" if others > 0.05 else ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(comparison.versions.items()))
    limits = [f"{name} {2e-9 * rate:,.0f} GFLOP/s" for name, rate in comparison.limits.items() if name != "memory"]
    limits += [f"memory {rate / 1e9:.1f} GB/s" for name, rate in comparison.limits.items() if name == "memory"]
    return "\n".join(
        [
            f"# {time.strftime('%Y-%m-%d %H:%M')}, commit {commit()}",
            "",
            f"- CPU: {cpu}, {os.cpu_count()} cores, {THREADS} threads; Linux {platform.release()}",
            f"- others took {100 * others:.0f} % of the CPU meanwhile{quiet}",
            f"- versions: {versions}; Python {platform.python_version()}",
            f"- practical limits: {', '.join(limits) or 'not measured'}",
            f"- {comparison.rounds} rounds, frameworks in turn",
            "",
        ]
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="*", help="such as image-net or image-net/f32-adam; all where there are none")
    parser.add_argument("--peers", help="such as torch,jax; all where not given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, help="length of a block, else 0.3 to 1.5")
    parser.add_argument("--json", help="file for the results as a list of objects")
    parser.add_argument("--build", action="store_true", help="also the time of a clean build")
    parser.add_argument("--no-file", action="store_true", help="writes no file to bench/results")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    cases = [c for c in all_cases() if not args.jobs or c.job in args.jobs or f"{c.job}/{c.name}" in args.jobs]
    peers = args.peers.split(",") if args.peers else None
    frameworks = [f for f in all_frameworks() if peers is None or {f.base, f.name} & {"ironlearn", *peers}]
    if not cases or peers and len({f.base for f in frameworks}) < 1 + len({p.partition("-")[0] for p in peers}):
        sys.exit("no such job or peer: see bench/README.md")
    prepare(frameworks)
    comparison = Comparison(frameworks, args.rounds, args.seconds)
    try:
        comparison.run(cases)
    except KeyboardInterrupt:
        print("interrupted: the table has what was measured so far", file=sys.stderr)
    text = heading(comparison) + "\n" + comparison.table() + "\n"
    if args.build:
        text += "\n" + build_times(frameworks) + "\n"
    print(text)
    files = [Path(args.json)] if args.json else []
    if not args.no_file:
        path = HERE / "results" / f"{time.strftime('%Y-%m-%d-%H%M')}-{commit()}"
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".md").write_text(text)
        files.append(path.with_suffix(".json"))
    for path in files:
        path.write_text(json.dumps(comparison.objects(), indent=1) + "\n")
    if any(row.reason.startswith(("WRONG", "failed")) for row in comparison.rows):
        sys.exit("a framework failed or computed something else: see the table")


if __name__ == "__main__":
    main()
