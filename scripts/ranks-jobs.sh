#!/usr/bin/env bash
# Whether ranks leave the weights of one process, for real jobs: each is carried out by one process in eight chunks, and by 1, 2 and
# 4 ranks, five steps each (what learns without steps, to its end). Ends with a failure where a checkpoint differs.
#
#   scripts/ranks-jobs.sh [JOB...]     all of jobs/ where none is named: some minutes; those without their data are skipped
#   STEPS='' scripts/ranks-jobs.sh jobs/xor.toml          to the end
#
# Builds the program with MPI in release, unless IRONLEARN names one; says SKIPPED without mpirun.
set -euo pipefail
cd "$(dirname "$0")/.."

source scripts/mpi-program.sh "jobs by ranks"
(($#)) || set -- jobs/*.toml
read -ra steps <<<"${STEPS---max-steps 5}"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# weights JOB PREFIX... [-- OPTIONS]: the checksum of the checkpoint that is left.
weights() {
    local job=$1 before=()
    shift
    while (($#)) && [[ $1 != -- ]]; do
        before+=("$1")
        shift
    done
    shift || true
    rm -rf "$folder/run"
    "${before[@]}" "$program" train "$job" --out "$folder/run" --quiet "$@" >"$folder/log" 2>&1 || return
    sha256sum "$folder/run/last.safetensors" | cut -c1-16
}

different=0
for job in "$@"; do
    options=("${steps[@]}" --set train.chunks=8) ranks=("${steps[@]}")
    if grep -qE '^kind = "(k-means|gaussian-anomaly)"' "$job"; then
        options=() ranks=()
    fi
    if grep -qF '$IRONLEARN_DATA' "$job" && [[ ! -d ${IRONLEARN_DATA:-../shared/data} ]]; then
        echo "SKIPPED $job: IRONLEARN_DATA names no folder of data"
        continue
    fi
    alone=$(weights "$job" -- "${options[@]}") || {
        cat "$folder/log" >&2
        exit 1
    }
    found=$alone
    for n in 1 2 4; do
        by=$(weights "$job" mpirun --oversubscribe -n "$n" -- "${ranks[@]}") || by="failed: $(grep -m1 '^error' "$folder/log" || true)"
        found+=" $by"
        [[ $by == "$alone" ]] || different=1
    done
    echo "$job $found"
done
if ((different)); then
    echo "ranks leave other weights than one process" >&2
    exit 1
fi
