#!/usr/bin/env bash
# `ironlearn serve` asked by NVIDIA's client of the Open Inference Protocol, tritonclient over HTTP: health, metadata, answers in
# bytes and in JSON compared with those of `ironlearn predict`, errors. Ends with a line for each of them.
#
#   scripts/tritonclient-check.sh
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
venv=$target/tritonclient
packages="tritonclient[http]==2.73.0 numpy==2.4.6"
if [[ ! -d $venv ]]; then
    # shellcheck disable=SC2086 # several packages
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet $packages; } >/dev/null 2>&1 || {
        rm -rf "$venv"
        echo "SKIPPED: tritonclient cannot be installed, the server is not asked by it"
        exit 0
    }
fi

cargo build --quiet -p ironlearn -p ironlearn-cli --features ironlearn-cli/serve
program=$(realpath "$target/debug/ironlearn")
files=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf "$files"' EXIT

# The rows of the table as numbers without names.
python3 - data/iris.csv "$files" <<'END'
import sys
rows = [line.split(",") for line in open(sys.argv[1]).read().split("\n")[1:] if line]
open(f"{sys.argv[2]}/x.csv", "w").writelines(",".join(row[:4]) + "\n" for row in rows)
END
# Of one column the numbers are taken for words, so that texts are sent too.
"$program" train jobs/iris.toml --out "$files/words" --quiet --set train.epochs=20 \
    --set 'data.words=["petal_width"]' --set data.unseen=zeros
"$program" predict "$files/words" --input data/iris.csv --out "$files/table.json"
"$program" train jobs/iris.toml --out "$files/iris" --quiet --set train.epochs=20
"$program" export "$files/iris" --onnx --out "$files/iris.onnx" >/dev/null
"$program" predict "$files/iris.onnx" --input "$files/x.csv" --out "$files/rows.json"

# check KIND MODEL: starts a server, asks it, and ends it.
check() {
    "$program" serve "$2" --address 127.0.0.1:0 >"$files/address" 2>"$files/said" &
    server=$!
    for _ in $(seq 100); do
        [[ -s $files/address ]] && break
        sleep 0.1
    done
    "$venv/bin/python" scripts/tritonclient-check.py "$1" "$(cat "$files/address")" "$files"
    kill -TERM "$server"
    wait "$server" || { cat "$files/said" >&2; exit 1; }
    server=
}

check table "$files/words"
check rows "$files/iris.onnx"
