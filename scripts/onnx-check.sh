#!/usr/bin/env bash
# Networks of integers as ONNX models, compared with onnxruntime: random networks of every operation, and two networks on
# 10,000 pictures. Ends with a table of the codes that differ, and fails where these are more than there may be.
#
#   scripts/onnx-check.sh [SEEDS]       so many random networks of each kind: 10 where nothing is said
set -euo pipefail
cd "$(dirname "$0")/.."

[[ ${1:-10} =~ ^[0-9]+$ ]] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }

venv=${CARGO_TARGET_DIR:-target}/onnx
packages="onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6"
if [[ ! -d $venv ]]; then
    # shellcheck disable=SC2086 # several packages
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet $packages; } >/dev/null 2>&1 || {
        rm -rf "$venv"
        echo "SKIPPED: onnxruntime cannot be installed, no ONNX model is compared with it"
        exit 0
    }
fi

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
IRONLEARN_ONNX_DIR=$files IRONLEARN_ONNX_SEEDS=${1:-10} \
    cargo test --quiet -p ironlearn --lib -- --ignored quant::export::onnx::tests::files::random_networks \
    quant::export::onnx::tests::files::picture_networks
"$venv/bin/python" scripts/onnx-check.py "$files"
