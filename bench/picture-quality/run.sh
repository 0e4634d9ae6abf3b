#!/usr/bin/env bash
# How well jobs/picture.toml learns a picture, against the same mathematics in PyTorch: one table.
# PYTHON=... takes an interpreter that has PyTorch; else that of the comparison is set up.
set -euo pipefail
cd "$(dirname "$0")"

if [[ -z ${PYTHON:-} ]]; then
    [[ -x ../.venv/bin/python ]] || python3 -m venv ../.venv
    ../.venv/bin/pip install --quiet --requirement ../requirements.txt
    PYTHON=../.venv/bin/python
fi
cargo build --quiet --release --manifest-path ../../Cargo.toml -p ironlearn-cli
exec "$PYTHON" compare.py "$@"
