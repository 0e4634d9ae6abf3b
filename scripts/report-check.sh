#!/usr/bin/env bash
# The report of a run in a real browser without a network: it has to render, to say nothing to the console, and to ask
# for nothing but itself. Ends with a picture of it.
#
#   scripts/report-check.sh [PICTURE.png]       where the picture goes; nowhere where nothing is said
set -euo pipefail
cd "$(dirname "$0")/.."

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [[ -z $browser ]]; then
    { apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 || {
        echo "SKIPPED: Chromium cannot be installed, no report is looked at in a browser"
        exit 0
    }
    browser=$(command -v chromium)
fi

cargo build --quiet -p ironlearn -p ironlearn-cli
program=${CARGO_TARGET_DIR:-$PWD/target}/debug/ironlearn
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT

"$program" train jobs/picture.toml --device cpu --quiet --out "$runs/picture" \
    --set train.epochs=40 --set "data.resize=[160,160]" --set picture.frames=0
"$program" train jobs/iris.toml --device cpu --quiet --out "$runs/iris"
"$program" train jobs/iris.toml --device cpu --quiet --out "$runs/faster" --set optimizer.rate=0.03
"$program" train jobs/regression.toml --device cpu --quiet --out "$runs/regression"
printf 'ওরা কি আছে? <b>שלום</b> & peace\n%.0s' {1..60} >"$runs/poem.txt"
"$program" train jobs/names.toml --device cpu --quiet --out "$runs/text" --set "data.path=$runs/poem.txt" \
    --set train.epochs=4 --set train.batch=32
"$program" compare "$runs/iris" "$runs/faster" --out "$runs/compared.html" >/dev/null
"$program" lr-find jobs/iris.toml --device cpu --out "$runs/rates.html" >/dev/null

python3 scripts/report-check.py "$browser" "${1:-}" \
    "$runs/picture/report.html" "$runs/iris/report.html" "$runs/regression/report.html" \
    "$runs/text/report.html" "$runs/compared.html" "$runs/rates.html"
