#!/usr/bin/env python3
"""What a sum over ranks, and so a step on several machines, costs: docs/scale.md.

    scripts/scale-model.py                       the tables of docs/scale.md, from scripts/scale-measured.csv and
                                                 scripts/scale-steps.csv
    scripts/scale-model.py measured LOG...       rows of that file, from what scripts/scale-measure.sh has printed
    scripts/scale-model.py step PARAMETERS RANKS GBITS DELAY_US STEP_MS
                                                 a step that takes so long on one machine
"""

import csv
import pathlib
import re
import sys

CHUNKS = 8  # of a batch, where a job says nothing
BUCKET = 4 << 20  # bytes of gradients that are summed at once
FRAME = 1448 / 1538  # of a byte on an Ethernet of 1500 bytes, what TCP carries
BURST = 0.5e-3  # seconds that a limit of scripts/mpi-network.sh lets pass at once
SLEEP, LONGEST = 0.2, 1e-3  # a rank that waits looks again after so much of the time it has waited
# Of cables that several ranks send through at once, the part that is used: connections share unequally, and the last
# one is alone. Measured: three and four ranks, 8 MiB, 100 Mbit/s, no delay.
SHARED = 0.82


def pieces(rank, ranks):
    """How many whole subtrees of the tree over chunks a rank has: ir/src/ranks/shares.rs."""
    chunks = max(CHUNKS, 1 << (ranks - 1).bit_length())
    first, end = rank * chunks // ranks, (rank + 1) * chunks // ranks

    def count(a, b):
        if b <= first or end <= a:
            return 0
        if first <= a and b <= end:
            return 1
        return count(a, (a + b) // 2) + count((a + b) // 2, b)

    return count(0, chunks)


def exchanges(size, ranks):
    """Bytes through the busiest cable in the two exchanges of a sum."""
    if ranks == 1:
        return 0.0, 0.0
    subtrees = [pieces(rank, ranks) for rank in range(ranks)]
    sent = max(subtrees) * (ranks - 1)
    received = sum(subtrees) - min(subtrees)
    return max(sent, received) * size / ranks, (ranks - 1) * size / ranks


def looked(delay, wait):
    """In two exchanges: the way there, and until the rank that sleeps in between has seen it."""
    return 2 * delay + max(wait, 2 * min(SLEEP * delay, LONGEST))


def wire(size, ranks, bits, burst=0.0):
    """Seconds that the bytes of a sum take."""
    share = FRAME * (1 if ranks == 2 else SHARED)
    return sum(max(0.0, 8 * b / (bits * share) - burst) for b in exchanges(size, ranks))


class Machine:
    """What a sum costs apart from the network, as measured."""

    def __init__(self, rows, cores=2):
        by = {(r["ranks"], r["bits"], r["delay"], r["bytes"]): r["seconds"] for r in rows}
        smallest = min(r["bytes"] for r in rows)
        self.alone = {size: t for (ranks, _, _, size), t in by.items() if ranks == 1}
        self.free = {(ranks, size): t for (ranks, bits, _, size), t in by.items() if ranks > 1 and not bits}
        # The wait for two exchanges of next to nothing: ranks that sleep, and wake up.
        self.waits = {ranks: by[ranks, 100e6, 0, smallest] for ranks in (2, 3, 4)}
        self.calibration = {(ranks, 100e6, 0, smallest) for ranks in self.waits}
        self.cores = cores

    def between(self, times, size):
        """Of measured sizes the two around this one, and a line between them."""
        sizes = sorted(times)
        high = next((i for i, s in enumerate(sizes) if s >= size and i), len(sizes) - 1)
        a, b = sizes[high - 1], sizes[high]
        return max(0.0, times[a] + (times[b] - times[a]) * (size - a) / (b - a))

    def crowd(self, ranks):
        """How many ranks share a processor of this machine."""
        return max(1.0, ranks / self.cores)

    def sum(self, size, ranks, bits, delay):
        """Copies and additions; then the slower of cables and processors; and the wait."""
        free = self.between({s: t for (n, s), t in self.free.items() if n == ranks}, size)
        copies = min(free, self.between(self.alone, size) * self.crowd(ranks))
        moved = max(wire(size, ranks, bits, BURST) if bits else 0.0, free - copies - self.waits[ranks], 0.0)
        return copies + moved + looked(delay, self.waits[ranks])


def read(path):
    with open(path, newline="") as file:
        return [
            {
                "ranks": int(r["ranks"]),
                "bits": float(r["mbit"]) * 1e6,
                "delay": float(r["delay_ms"]) / 1e3,
                "bytes": int(r["bytes"]),
                "seconds": float(r["median_ms"]) / 1e3,
            }
            for r in csv.DictReader(file)
        ]


def named(size):
    return f"{size >> 20} MiB" if size >> 20 else f"{size >> 10} KiB"


def check(rows):
    """Each cell: measured and predicted milliseconds."""
    machine = Machine(rows)
    limited = {(r["ranks"], r["bits"], r["bytes"], r["delay"]): r["seconds"] for r in rows if r["bits"]}
    delays = sorted({delay for *_, delay in limited})
    heads = [f"delay {delay * 1e3:g} ms" for delay in delays]
    print(f"| ranks | Mbit/s | sum of | {' | '.join(heads)} |\n|---|---|---|{'---|' * len(delays)}")
    ratios = []
    for ranks, bits, size in sorted({key[:3] for key in limited}):
        cells = []
        for delay in delays:
            found = limited[ranks, bits, size, delay]
            if (ranks, bits, delay, size) in machine.calibration:
                cells.append(f"{found * 1e3:.1f}, taken")
                continue
            model = machine.sum(size, ranks, bits, delay)
            off = abs(model / found - 1) > 0.2
            ratios.append((ranks, bits, model / found))
            cells.append(f"{found * 1e3:.1f}, {'**' * off}{model * 1e3:.1f}{'**' * off}")
        print(f"| {ranks} | {bits / 1e6:.0f} | {named(size)} | {' | '.join(cells)} |")
    print()
    for bits in sorted({bits for _, bits, _ in ratios}):
        for ranks in sorted({ranks for ranks, *_ in ratios}):
            these = [ratio for n, b, ratio in ratios if (n, b) == (ranks, bits)]
            near = sum(abs(ratio - 1) <= 0.2 for ratio in these)
            print(f"{ranks} ranks, {bits / 1e6:.0f} Mbit/s: {near} of {len(these)} within 20 %")
    print(f"all: {sum(abs(ratio - 1) <= 0.2 for *_, ratio in ratios)} of {len(ratios)}")


def check_steps(rows, path):
    """Steps of jobs: what one rank takes without a network, what the sums add, and what was measured."""
    machine, alone = Machine(rows), {}
    print("| job | ranks | Mbit/s | delay, ms | compute, ms | sums, ms | model, ms | measured, ms |\n|---|---|---|---|---|---|---|---|")
    with open(path, newline="") as file:
        for r in csv.DictReader(file):
            ranks, bits, delay = int(r["ranks"]), float(r["mbit"]) * 1e6, float(r["delay_ms"]) / 1e3
            found = float(r["step_ms"])
            if ranks == 1:
                alone[r["job"]] = found
                continue
            compute = alone[r["job"]] / ranks * machine.crowd(ranks)
            sums = sum(machine.sum(int(size), ranks, bits, delay) * 1e3 for size in r["buckets"].split("+"))
            least, most = max(compute, sums), compute + sums
            off = not 0.8 * least <= found <= 1.2 * most
            print(
                f"| {r['job']} | {ranks} | {r['mbit'] if bits else 'no limit'} | {r['delay_ms']} | {compute:.1f} | {sums:.1f} "
                f"| {least:.1f} to {most:.1f} | {'**' * off}{found:.1f}{'**' * off} |"
            )


# A machine of today, for the outlook. Measured here where nothing else is said.
MESSAGE = 8e-6  # seconds of a processor to send a message, or to receive it
COPY = 3.6e-9  # seconds for a byte of the sum, on the one thread of a rank that adds up
WAIT = 0.2e-3  # of a sum: ranks that sleep, threads that wake up


def total(parameters, ranks, bits, delay):
    """All sums of a step: (network, processors) in seconds. Buckets follow each other."""
    size = 4 * parameters
    buckets = max(1, -(-size // BUCKET))
    network = wire(size, ranks, bits) + buckets * looked(delay, WAIT)
    messages = buckets * 4 * (ranks - 1) * max(1.0, size / buckets / ranks / (60 << 10))
    return network, messages * MESSAGE + size * COPY


def step(parameters, ranks, bits, delay, alone):
    """The shortest and the longest time of a step: sums behind the backward pass, or after it."""
    compute, sums = alone / ranks, sum(total(parameters, ranks, bits, delay))
    return max(compute, sums), compute + sums


def show(seconds):
    if seconds < 1:
        return f"{seconds * 1e3:.2g} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def outlook():
    print(
        "| parameters | machines | network | sums of a step: network | processors | pays from a step of | half of ideal from |\n"
        "|---|---|---|---|---|---|---|"
    )
    for parameters in (10**6, 10**8):
        for gbit, delay in ((10, 30e-6), (100, 10e-6)):
            for ranks in (8, 64, 512):
                network, processors = total(parameters, ranks, gbit * 1e9, delay)
                sums = network + processors
                print(
                    f"| {parameters // 10**6} M | {ranks} | {gbit} Gbit/s | {show(network)} | {show(processors)} "
                    f"| {show(sums * ranks / (ranks - 1))} | {show(sums * ranks)} |"
                )


def measured(logs):
    """Rows from logs: a line `== RANKS MBIT DELAY_MS` before what the example `reduction` prints."""
    found = {}
    for log in logs:
        ranks = bits = delay = None
        for line in open(log):
            if line.startswith("== "):
                ranks, bits, delay = line.split()[1:]
            elif match := re.match(r"(\d+) ranks, (\d+) bytes, .* median ([0-9.]+) ms", line):
                found.setdefault((int(ranks), float(bits), float(delay), int(match[2])), []).append(float(match[3]))
    print("ranks,mbit,delay_ms,bytes,median_ms")
    for (ranks, bits, delay, size), ms in sorted(found.items()):
        print(f"{ranks},{bits:g},{delay:g},{size},{sorted(ms)[(len(ms) - 1) // 2]}")


def main(words):
    if words[:1] == ["measured"] and words[1:]:
        measured(words[1:])
    elif words[:1] == ["step"] and len(words) == 6:
        parameters, ranks = int(float(words[1])), int(words[2])
        gbits, us, ms = map(float, words[3:])
        least, most = step(parameters, ranks, gbits * 1e9, us / 1e6, ms / 1e3)
        print(f"{show(least)} to {show(most)}: {ms / 1e3 / most:.2f} to {ms / 1e3 / least:.2f} times as fast as one machine")
    elif not words:
        here = pathlib.Path(__file__).parent
        rows = read(here / "scale-measured.csv")
        check(rows)
        print()
        check_steps(rows, here / "scale-steps.csv")
        print()
        outlook()
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
