#!/usr/bin/env bash
# Trained networks of integers as source code, in Rust and in C, on machines of other kinds: the codes of 10,000
# pictures against those of the library. Prints one table: target, language, network, bytes of code, of constants and
# of scratch, images, differences, instructions and symbols of floats.
#
#   scripts/export-check.sh
#
# Installs targets of Rust, cross compilers and emulators where that is allowed; what cannot be is skipped, with a line
# that begins with SKIPPED.
set -euo pipefail
cd "$(dirname "$0")/.."

rustup target add thumbv7em-none-eabihf riscv32imc-unknown-none-elf >/dev/null 2>&1 || true

missing=()
# need COMMAND PACKAGE: notes a package whose command is not there.
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need gcc gcc
need arm-none-eabi-gcc gcc-arm-none-eabi
need riscv64-unknown-elf-gcc gcc-riscv64-unknown-elf
need qemu-arm qemu-user
need qemu-riscv32 qemu-user
if ((${#missing[@]} > 0)); then
    echo "missing: asking the package manager for ${missing[*]}"
    { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >/dev/null 2>&1 || true
fi

IRONLEARN_TIER=full cargo test -p ironlearn --lib -- quant::export
cargo test -p ironlearn --test export_code -- --ignored --nocapture --exact \
    trained_networks_are_the_same_on_every_machine
