#!/usr/bin/env bash
# Fuzzing, with the stable toolchain and a C++ compiler: see docs/fuzzing.md.
#
#   fuzz/run.sh TARGET 60        a target, for so many seconds
#   fuzz/run.sh TARGET 10000000x a target, for so many runs
#   fuzz/run.sh all 5            every target, one after the other
#   fuzz/run.sh TARGET FILE      a finding again
set -euo pipefail
cd "$(dirname "$0")"

targets="npy csv table checkpoint npz idx job original picture model onnx operations graphs"
triple=x86_64-unknown-linux-gnu

(($# == 2)) || {
    sed -n '4,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
if ! command -v c++ >/dev/null; then
    echo "SKIPPED: no fuzzing without a C++ compiler (c++)"
    exit 0
fi

# With --target, build scripts and macros are not instrumented.
export RUSTFLAGS="-C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
-C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
-C llvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
case $1 in
all) asked=$targets ;;
*) asked=$1 ;;
esac
bins=()
for target in $asked seeds; do bins+=(--bin "$target"); done
cargo build --quiet --release --locked --target $triple "${bins[@]}"
built=$PWD/target/$triple/release

# Files that the targets write are in memory, and gone afterwards.
memory=/dev/shm
[[ -d $memory ]] || memory=/tmp
scratch=$(mktemp -d "$memory/ironlearn-fuzz-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch
SEEDS=$scratch/seeds "$built/seeds" -runs=0 2>/dev/null

if [[ -f $OLDPWD/$2 || -f $2 ]]; then
    file=$2
    [[ -f $OLDPWD/$2 ]] && file=$OLDPWD/$2
    "$built/$1" "$file"
    exit
fi
case $2 in
*x) limit=-runs=${2%x} ;;
*) limit=-max_total_time=$2 ;;
esac
for target in $asked; do
    mkdir -p "corpus/$target" artifacts "$scratch/seeds/$target"
    log=$scratch/$target.log
    nice "$built/$target" "$limit" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target-" "corpus/$target" "$scratch/seeds/$target" >"$log" 2>&1 || {
        tail -n 40 "$log" >&2
        exit 1
    }
    printf '%-12s %s\n' "$target" "$(sed -n \
        's/^stat::number_of_executed_units: */runs /p; s/^stat::average_exec_per_sec: */a second /p' "$log" | xargs)"
done
