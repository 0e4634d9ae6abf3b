#!/usr/bin/env bash
# The check of Iron Learn on a machine with an NVIDIA GPU: what scripts/gpu-pack.sh has packed, see docs/gpu.md.
#
#   scripts/gpu-check.sh FOLDER [PART...]
#
# Parts, in this order, all of them by default: card ceilings correct bench cupy torch gemm; and profile, the times of
# the kernels of a step, where ncu is installed. Needs neither cargo nor network. Whatever fails, the rest goes on; after
# $BUDGET seconds (default 530) nothing is begun. A table comes last, and all figures as `key value`; logs and tables lie
# in $RESULTS (default FOLDER/results).
set -uo pipefail
BUDGET=${BUDGET:-530}

[[ -f ${1:-}/bin.tar.gz ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$(cd "$1" && pwd)
tar -C "$folder" -xzf "$folder/bin.tar.gz" || exit 1
shift
parts=" ${*:-card ceilings correct bench cupy torch gemm} "
results=${RESULTS:-$folder/results}
mkdir -p "$results"
: >"$results/table"
: >"$results/values"
declare -A value

wanted() { [[ $parts == *" $1 "* ]]; }
left() { echo $((BUDGET - SECONDS)); }
say() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }
row() { printf '%s\t%s\t%s\n' "$@" >>"$results/table"; }
put() { value[$1]=$2 && echo "$1 $2" >>"$results/values"; }
# is EXPRESSION: whether it holds, as awk calculates.
is() { awk "BEGIN { exit !($1) }"; }
calc() { awk "BEGIN { printf \"$1\", $2 }"; }

# limited SECONDS COMMAND...: runs it for no longer, nor longer than there is time; 99 where there is none.
limited() {
    local most=$1 rest
    shift
    rest=$(left)
    ((rest >= 3)) || return 99
    timeout -k 5 $((most < rest ? most : rest)) "$@"
}

# What an exit status stands for.
verdict() {
    case $1 in
    0) echo ok ;;
    99) echo "no time left" ;;
    124 | 137) echo "TIMED OUT" ;;
    *) echo FAILED ;;
    esac
}

# Folders with CUDA's libraries, where the system does not know them itself.
libraries() {
    local pattern file
    for pattern in libcuda.so.1 'libnvrtc.so*' 'libcublasLt.so*'; do
        for file in /usr/local/cuda*/targets/x86_64-linux/lib /usr/local/cuda*/lib64 /usr/local/nvidia/lib64 \
            "$(python3 -c 'import site; print(site.getsitepackages()[0])' 2>/dev/null)"/nvidia/*/lib; do
            # shellcheck disable=SC2086
            compgen -G "$file/$pattern" >/dev/null && { echo "$file" && break; }
        done
    done | awk '!seen[$0]++' | paste -sd:
}

tool() {
    local path
    for path in "$(command -v "$1")" /usr/local/cuda*/bin/"$1"; do
        [[ -x $path ]] && { echo "$path" && return; }
    done
    return 1
}

card() {
    local query=name,driver_version,compute_cap,memory.total,clocks.max.sm told status
    told=$(limited 20 nvidia-smi --query-gpu=$query --format=csv,noheader 2>"$results/smi.log" | head -1)
    row card "${told:-nvidia-smi gives nothing}" "$([[ -n $told ]] && echo ok || echo missing)"
    put card "${told// /_}"
    row libraries "${LD_LIBRARY_PATH:-those of the system}" ""
    row commit "$(cat "$folder/commit")" ""
    limited 30 "$folder/bin/ironlearn" doctor >"$results/doctor.log" 2>&1
    status=$?
    row doctor "$(grep -iE 'cuda|nvrtc|cublas|nvidia' "$results/doctor.log" | tr -s ' ' | paste -sd';')" "$(verdict $status)"
}

ceilings() {
    local key number
    PYTHONDONTWRITEBYTECODE=1 limited 60 python3 "$folder/bench/python/cuda_ceilings.py" >"$results/ceilings" \
        2>"$results/ceilings.log"
    local status=$?
    while read -r key number; do
        put "$key" "$number"
        row "${key%.*}" "$number ${key##*.} by PyTorch" ok
    done <"$results/ceilings"
    ((status == 0)) || row ceilings "$(tail -1 "$results/ceilings.log")" "$(verdict $status)"
}

for part in correct times others; do
    # shellcheck source=/dev/null
    source "$(dirname "$0")/gpu-check/$part.sh" || exit 1
done
cuda=$(libraries)
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}${LD_LIBRARY_PATH:+${cuda:+:}}$cuda" IRONLEARN_CUDA_CACHE=$results/cache
export IRONLEARN_DATA=$folder/data # of the tests
compiling=
if wanted gemm; then
    rm -f "$results/nvcc.status"
    compile_gemm &
    compiling=$!
fi
for part in card ceilings correct bench profile cupy torch gemm; do
    wanted $part || continue
    say "$part"
    # Nothing is timed beside a compiler.
    [[ $part != bench || -z $compiling ]] || wait "$compiling"
    case $part in
    cupy)
        peers cupy 30 --precision f32
        peers cupy 30 --precision tf32
        ;;
    torch) peers torch $(($(left) - 60)) ;;
    gemm)
        wait "$compiling" 2>/dev/null
        gemm
        ;;
    *) $part ;;
    esac
done
ratios
say end
printf '\n%s\n' "== $(date +%F) ${value[card]:-}"
awk -F'\t' '{ printf "%-26s %-60s %s\n", $1, $2, $3 }' "$results/table"
printf '\n== figures\n'
grep -v '\.spread ' "$results/values"
if grep -qE $'\t(FAILED|TIMED OUT|no time left)[^\t]*$' "$results/table"; then exit 1; fi
