#!/usr/bin/env bash
# The code with `unsafe`, watched.
#
#   scripts/sanitize.sh shuttle    the thread pool under many schedules: stable Rust
#   scripts/sanitize.sh miri       the same pool in an interpreter that knows the rules of memory: nightly Rust
#   scripts/sanitize.sh address    random graphs and kernels with AddressSanitizer, on the instructions that the
#                                  machine has: nightly Rust
#   scripts/sanitize.sh cuda       kernels of CUDA with AddressSanitizer, on the stand-in for a GPU: stable Rust, g++
#
# IRONLEARN_TIER=full explores more schedules. All but the last have a folder of
# their own below target/.
set -euo pipefail
cd "$(dirname "$0")/.."

# nightly COMPONENT...: installs what is missing of the nightly toolchain, or says what is skipped and ends well.
nightly() {
    if ! cargo +nightly --version >/dev/null 2>&1; then
        rustup toolchain install nightly --profile minimal >/dev/null 2>&1 || skip "no nightly toolchain"
    fi
    for component; do
        rustup +nightly component add "$component" >/dev/null 2>&1 || skip "no $component for the nightly toolchain"
    done
}

skip() {
    echo "SKIPPED $what: $1"
    exit 0
}

what=${1:-}
export CARGO_TARGET_DIR=target/$what
case $what in
shuttle)
    # Kernels play no part, and take minutes to be optimised.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 RUSTFLAGS="--cfg shuttle" cargo test --quiet --release -p ironlearn-cpu --test schedules -- --nocapture
    ;;
miri)
    nightly miri rust-src
    # Kernels would take hours there.
    MIRIFLAGS="-Zmiri-disable-isolation" cargo +nightly miri test --quiet -p ironlearn-cpu --lib -- pool
    ;;
address)
    nightly
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 RUSTFLAGS="-Zsanitizer=address" cargo +nightly test --quiet --no-fail-fast \
        --target x86_64-unknown-linux-gnu -p ironlearn-cpu -p ironlearn-testkit --lib --tests -- --skip allocat
    ;;
cuda)
    libasan=$(g++ -print-file-name=libasan.so 2>/dev/null) && [[ $libasan == /* ]] || skip "no g++ with libasan"
    # The stand-in and the kernels; Rust and the stand-in's own code as they always are. What the driver would say
    # about a bad address is said by AddressSanitizer, which knows nothing of alignment: three tests of it do not apply.
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="env LD_PRELOAD=$libasan" IRONLEARN_SIM_SANITIZE=address
    export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 CARGO_TARGET_DIR=target
    cargo test --quiet --no-fail-fast -p ironlearn-cuda --tests -- \
        --include-ignored --skip smallest_that_fails --skip mistakes::a_null_pointer --skip mistakes::a_write_behind \
        --skip mistakes::a_wide_read
    ;;
*)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
