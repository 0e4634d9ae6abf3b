#!/usr/bin/env bash
# Networks of floats from and for other programs: every layer as an ONNX model in onnxruntime. Ends with a table of the
# largest differences, and fails where one is above 1e-5.
#
#   scripts/exchange-check.sh [SEEDS]       so many random networks of each kind: 3 where nothing is said
set -euo pipefail
cd "$(dirname "$0")/.."

[[ ${1:-3} =~ ^[0-9]+$ ]] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }

venv=${CARGO_TARGET_DIR:-target}/exchange
packages="onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 scikit-learn==1.9.1 skl2onnx==1.20.0"
if [[ ! -d $venv ]]; then
    # shellcheck disable=SC2086 # several packages
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet $packages; } >/dev/null 2>&1 || {
        rm -rf "$venv"
        echo "SKIPPED: onnxruntime cannot be installed, no ONNX model is compared with it"
        exit 0
    }
    "$venv/bin/pip" install --quiet torch==2.15.0 onnxscript==0.7.2 >/dev/null 2>&1 || true
fi

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
tests() {
    cargo test --quiet -p ironlearn -p ironlearn-cli --lib -- --ignored "$@" >/dev/null
}
export IRONLEARN_ONNX_DIR=$files/export IRONLEARN_ONNX_SEEDS=${1:-3}
tests exchange::onnx::export::tests::files
"$venv/bin/python" scripts/exchange-check.py export "$files/export"
