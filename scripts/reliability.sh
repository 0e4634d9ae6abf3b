#!/usr/bin/env bash
# The tests behind docs/reliability.md, and the figures that they report.
#
#   scripts/reliability.sh quick        as they run with every `cargo test`: minutes
#   scripts/reliability.sh full         with the figures that are promised: an hour or two
#   scripts/reliability.sh soak HOURS   full, again and again with other random numbers
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

tier=${1:-quick}
case $tier in
quick | full) (($# <= 1)) || usage ;;
soak) [[ ${2:-} =~ ^[0-9]+$ ]] || usage ;;
*) usage ;;
esac

figures=$(mktemp)
trap 'rm -f "$figures"' EXIT

# A round of all tests in a tier, from a seed; the figures go to the file.
round() {
    export IRONLEARN_TIER=$1 IRONLEARN_SEED=$2 IRONLEARN_FIGURES=$figures
    cargo test --quiet -p ironlearn-testkit
    cargo test --quiet -p ironlearn-ir --tests
    cargo test --quiet -p ironlearn-cpu --tests
    cargo test --quiet -p ironlearn --tests
    cargo test --quiet -p ironlearn-cli
    scripts/sanitize.sh shuttle
    fuzzing "$1" | tee -a "$figures"
    [[ $1 == quick ]] || { scripts/sanitize.sh miri && scripts/sanitize.sh address && scripts/sanitize.sh cuda; }
}

# Every target for 5 seconds; in full for ten million runs, and those that are slow for a hundred thousand.
fuzzing() {
    [[ $1 == full ]] || { fuzz/run.sh all 5; return; }
    local target
    for target in npy csv checkpoint npz idx job original model onnx; do fuzz/run.sh "$target" 10000000x; done
    for target in picture operations graphs; do fuzz/run.sh "$target" 100000x; done
}

show() {
    printf '\n%s\n' "figures, seed $1, $(date +%F), $(git rev-parse --short HEAD 2>/dev/null || echo 'no git'):"
    sed 's/^/  /' "$figures"
    : >"$figures"
}

if [[ $tier == soak ]]; then
    end=$((SECONDS + $2 * 3600))
    for ((seed = 1; SECONDS < end; seed++)); do
        round full "$seed"
        show "$seed"
    done
else
    round "$tier" "${IRONLEARN_SEED:-1}"
    show "${IRONLEARN_SEED:-1}"
fi
