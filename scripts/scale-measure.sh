#!/usr/bin/env bash
# How long sums over ranks take on networks of several bandwidths and delays: the measurements of docs/scale.md, for
# scripts/scale-model.py. Five minutes; needs what scripts/mpi-network.sh needs.
#
#   scripts/scale-measure.sh >LOG && scripts/scale-model.py measured LOG >scripts/scale-measured.csv
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --release -p ironlearn-mpi --features mpi --example reduction
# Before other programs, where the kernel shares processors among groups of processes.
# on RANKS MBIT DELAY_MS: no limit where MBIT is 0.
on() {
    local limits=(--delay "$3ms")
    [[ $3 != 0 ]] || limits=()
    [[ $2 == 0 ]] || limits+=(--rate "$2mbit")
    echo "== $1 $2 $3"
    scripts/mpi-network.sh --ranks "$1" "${limits[@]}" -- sh -c 'echo -15 2>/dev/null >/proc/self/autogroup; exec "$@"' sh \
        target/release/examples/reduction 1 4096 65536 1048576 8388608
}

on 1 0 0
for ranks in 2 3 4; do
    on "$ranks" 0 0
    for rate in 100 1000; do
        for delay in 0 1 5; do on "$ranks" "$rate" "$delay"; done
    done
done
