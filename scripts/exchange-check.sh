#!/usr/bin/env bash
# Networks of floats from and for other programs: every layer as an ONNX model in onnxruntime; the ONNX project's tests
# of the operators that are imported; models of PyTorch's and scikit-learn's exporters; weights of PyTorch, both ways.
# Ends with the largest differences, and fails where one is above 1e-5.
#
#   scripts/exchange-check.sh [SEEDS]       so many random networks of each kind: 3 where nothing is said
set -euo pipefail
cd "$(dirname "$0")/.."

[[ ${1:-3} =~ ^[0-9]+$ ]] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }

venv=${CARGO_TARGET_DIR:-target}/exchange
packages="onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 scikit-learn==1.9.1 skl2onnx==1.20.0"
if [[ ! -d $venv ]]; then
    # shellcheck disable=SC2086 # several packages
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet $packages; } >/dev/null 2>&1 || {
        rm -rf "$venv"
        echo "SKIPPED: onnxruntime cannot be installed, nothing is compared with it"
        exit 0
    }
    # Half a gigabyte, and CUDA's libraries with it.
    "$venv/bin/pip" install --quiet torch==2.15.0 onnxscript==0.7.2 safetensors==0.8.0 >/dev/null 2>&1 || true
fi

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
tests() {
    cargo test --quiet -p ironlearn -p ironlearn-cli --lib -- --ignored --nocapture "$@" \
        | grep -v "^$\|^running\|^test result\|^\.\|measured" || return "${PIPESTATUS[0]}"
}
compare() {
    "$venv/bin/python" -W ignore scripts/exchange-check.py "$@"
}
export IRONLEARN_ONNX_DIR=$files/export IRONLEARN_ONNX_SEEDS=${1:-3}
export IRONLEARN_ONNX_NODES=$files/nodes IRONLEARN_ONNX_MODELS=$files/models IRONLEARN_TORCH_DIR=$files/weights

tests exchange::onnx::export::tests::files
compare export "$IRONLEARN_ONNX_DIR"

mkdir "$IRONLEARN_ONNX_NODES" "$IRONLEARN_ONNX_MODELS"
compare nodes "$IRONLEARN_ONNX_NODES"
tests exchange::onnx::import::tests::backend::nodes
compare models "$IRONLEARN_ONNX_MODELS" 2>/dev/null
tests exchange::onnx::import::tests::backend::exporters

if "$venv/bin/python" -c "import torch, safetensors" 2>/dev/null; then
    tests exchange::torch::tests::files::for_pytorch
    compare weights "$IRONLEARN_TORCH_DIR"
    tests exchange::torch::tests::files::from_pytorch
else
    echo "SKIPPED: PyTorch cannot be installed, no weights are exchanged with it"
fi
