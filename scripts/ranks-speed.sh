#!/usr/bin/env bash
# How fast two ranks are beside one process with two threads, and whether they come to the same loss: in rounds of one, two, two, one,
# as the clock of a machine that is shared drifts. Prints the seconds of training and the ratio of each round, and their median; ends
# with a failure where that is below 0.9, or where a loss differs in its first six digits.
#
#   scripts/ranks-speed.sh [ROUNDS]     five where nothing is said: two minutes, on two cores that nothing else uses
#
# Builds the program with MPI in release, unless IRONLEARN names one; says SKIPPED without mpirun.
set -euo pipefail
cd "$(dirname "$0")/.."

source scripts/mpi-program.sh "the speed of ranks"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# run PREFIX... -- OPTIONS: seconds of training and loss.
run() {
    local before=()
    while [[ $1 != -- ]]; do
        before+=("$1")
        shift
    done
    rm -rf "$folder/run"
    "${before[@]}" "$program" train bench/image-net.toml --out "$folder/run" --quiet --json "${@:2}" 2>"$folder/log" |
        python3 -c 'import json, sys; r = json.loads(sys.stdin.read()); print(r["train_seconds"], r["loss"])'
}
one() { run env -- --threads 2; }
two() { run mpirun -n 2 --oversubscribe --; }

for ((round = 0; round < ${1:-5}; round++)); do
    printf '%s ' "$(one)" "$(two)" "$(two)" "$(one)"
    echo
done | python3 -c '
import statistics, sys
ratios = []
for line in sys.stdin:
    n = [float(word) for word in line.split()]
    seconds, losses = n[::2], n[1::2]
    ratios.append((seconds[0] + seconds[3]) / (seconds[1] + seconds[2]))
    print("one, two, two, one:", *(f"{s:.2f}" for s in seconds), f"s: {ratios[-1]:.2f} times as fast", flush=True)
    if max(losses) - min(losses) > 1e-6 * abs(losses[0]):
        sys.exit(f"the losses differ: {losses}")
median = statistics.median(ratios) if ratios else 0
print(f"median {median:.2f}")
sys.exit(median < 0.9)
'
