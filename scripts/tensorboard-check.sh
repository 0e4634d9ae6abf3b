#!/usr/bin/env bash
# Event files as TensorBoard reads them: runs of a table and of a picture, one of them killed and resumed, must have in
# TensorBoard what their metrics.csv holds, and nothing twice. Asks its readers, and its server as a browser would.
#
#   scripts/tensorboard-check.sh
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${CARGO_TARGET_DIR:-target}/tensorboard
if [[ ! -d $venv ]]; then
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet tensorboard==2.20.0 "setuptools<81"; } >/dev/null 2>&1 || {
        rm -rf "$venv"
        echo "SKIPPED: TensorBoard cannot be installed, no event file is read by it"
        exit 0
    }
fi

cargo build --quiet -p ironlearn -p ironlearn-cli
program=${CARGO_TARGET_DIR:-$PWD/target}/debug/ironlearn
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT

iris=(jobs/iris.toml --tensorboard --device cpu --threads 1 --quiet)
"$program" train "${iris[@]}" --out "$runs/whole"
"$program" train "${iris[@]}" --out "$runs/stopped" --max-steps 33
"$program" resume "$runs/stopped" --quiet --max-steps 61
"$program" resume "$runs/stopped" --quiet

# Killed where evaluations came after the last save.
"$program" train "${iris[@]}" --out "$runs/killed" --set train.epochs=100000 --set train.save_every=40 &
child=$!
while [[ $(grep -c . "$runs/killed/metrics.csv" 2>/dev/null) -lt 300 ]]; do sleep 0.01; done
kill -KILL "$child"
wait "$child" 2>/dev/null || true
rows=$(grep -c . "$runs/killed/metrics.csv")
"$program" resume "$runs/killed" --quiet --set "train.epochs=$((rows + 200))"

"$program" train jobs/picture.toml --tensorboard --device cpu --quiet --out "$runs/picture" \
    --set train.epochs=6 --set "data.resize=[40,30]" --set picture.frames=3

"$venv/bin/python" scripts/tensorboard-check.py "$venv/bin/tensorboard" "$runs"
