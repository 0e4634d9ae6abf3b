#!/usr/bin/env bash
# `ironlearn serve` under fourteen times the requests that it can answer, and among them malformed ones, slow clients, and such
# that go away. Ends with one line of figures; fails where the server dies, an answer is wrong, a refusal is no 4xx or 503, or
# its memory grows.
#
#   scripts/serve-soak.sh [SECONDS]     two minutes where nothing is said; an hour is 3600
set -euo pipefail
cd "$(dirname "$0")/.."

[[ ${1:-120} =~ ^[1-9][0-9]*$ ]] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# Of the workspace and with the features of the tests before, so that nothing is compiled again after them.
IRONLEARN_SOAK_SECONDS=${1:-120} cargo test --quiet --workspace --features "${IRONLEARN_FEATURES:-ironlearn-cli/serve}" --test serve \
    -- --nocapture overload
