#!/usr/bin/env bash
# Linear models, clusters, anomalies and metrics compared with scikit-learn, scikit-image and NumPy on the same numbers. Ends
# with a table of the largest relative differences and of times, and fails where a difference is more than one in a million.
#
#   scripts/sklearn-check.sh
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${CARGO_TARGET_DIR:-target}/sklearn
packages="scikit-learn==1.9.1 scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6"
if [[ ! -d $venv ]]; then
    # shellcheck disable=SC2086 # several packages
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet $packages; } >/dev/null 2>&1 || {
        rm -rf "$venv"
        echo "SKIPPED: scikit-learn cannot be installed, nothing is compared with it"
        exit 0
    }
fi

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
# Built first, so that nothing else is at work while times are taken.
cargo test --quiet --release -p ironlearn -p ironlearn-cli --test sklearn --no-run
"$venv/bin/python" scripts/sklearn-check.py write "$files"
IRONLEARN_SKLEARN_DIR=$files cargo test --quiet --release -p ironlearn -p ironlearn-cli --test sklearn -- --ignored
"$venv/bin/python" scripts/sklearn-check.py compare "$files"
