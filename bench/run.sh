#!/usr/bin/env bash
# The comparison with other frameworks; see README.md.
exec python3 "$(dirname "$0")/compare.py" "$@"
