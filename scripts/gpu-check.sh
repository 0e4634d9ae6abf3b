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

# test LOG SECONDS BINARY [FILTER...]: a test binary of crates/cuda, its status in LOG.status.
test_binary() {
    local log=$results/$1 seconds=$2 binary=$folder/bin/$3
    shift 3
    limited "$seconds" "$binary" --nocapture "$@" >"$log.log" 2>&1
    echo $? >"$log.status"
}

sanitize() {
    local kind=$1 seed=$2 log=$results/sanitizer-$1
    IRONLEARN_SEED=$seed IRONLEARN_GRAPHS=2 limited 140 "$sanitizer" --tool "$kind" "$folder/bin/test-graphs" \
        --nocapture random >"$log.log" 2>&1
    echo $? >"$log.status"
}

compile_gemm() {
    local nvcc number
    nvcc=$(tool nvcc) || return 0
    number=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -dc 0-9)
    # Instructions that only this architecture has.
    [[ $number == 90 ]] && number=90a
    unset NVCC_APPEND_FLAGS NVCC_PREPEND_FLAGS
    (cd "$folder" && limited 180 nice "$nvcc" -std=c++17 -O3 -gencode "arch=compute_$number,code=sm_$number" -ftz=true --expt-relaxed-constexpr \
        --split-compile=0 -o "$results/gemm" bench/cuda/gemm.cu -lcublas) >"$results/nvcc.log" 2>&1
    echo $? >"$results/nvcc.status"
}

# graphs NAME LOG...: a row for what the tests of random graphs have said in these logs.
graphs() {
    local what=$1 log agreed=0 failed=0 untold=0 n
    shift
    for log; do
        n=$(sed -n 's/.*random graphs on CUDA: \([0-9]*\) of .*/\1/p' "$results/$log.log")
        if [[ -n $n ]] && grep -q 'tested on' "$results/$log.log"; then
            agreed=$((agreed + n))
        elif n=$(sed -n 's/^\([0-9]*\) of [0-9]* graphs:$/\1/p' "$results/$log.log") && [[ -n $n ]]; then
            failed=$((failed + n))
        else
            untold=$((untold + 1))
        fi
    done
    put "$what.agree" $agreed
    put "$what.fail" $failed
    row "$what" "$agreed graphs agree, the same bits twice; $failed fail; $untold runs ended early" \
        "$( ((agreed > 0 && failed + untold == 0)) && echo ok || echo FAILED)"
    for log; do
        grep -hE '^seed [0-9]+: ' "$results/$log.log" | sort -u | head -2 | cut -c1-160 | while read -r n; do row "$what" "$n" ""; done
    done
}

# Random graphs, other tests and compute-sanitizer, side by side: none of them is timed.
correct() {
    local seed kind status log errors name pids=()
    for seed in 1 2 3 4 5 6; do
        IRONLEARN_CUDA_CHECK=0 IRONLEARN_SEED=$seed test_binary "graphs-$seed" 130 test-graphs random &
        pids+=($!)
    done
    for seed in 31 32; do
        IRONLEARN_CUDA_CHECK=1 IRONLEARN_GRAPHS=4 IRONLEARN_SEED=$seed test_binary "checked-$seed" 130 test-graphs random &
        pids+=($!)
    done
    local others=()
    for name in "$folder"/bin/test-*; do
        name=${name##*/test-}
        [[ $name == graphs ]] && continue
        others+=("$name")
        test_binary "test-$name" 130 "test-$name" &
        pids+=($!)
    done
    seed=101
    if sanitizer=$(tool compute-sanitizer); then
        for kind in memcheck racecheck initcheck synccheck; do
            sanitize $kind $((seed++)) &
            pids+=($!)
        done
    fi
    wait "${pids[@]}"

    row "tested on" "$(sed -n 's/.*tested on //p' "$results/graphs-1.log")" ""
    graphs parity graphs-{1,2,3,4,5,6}
    graphs parity.checked checked-{31,32}
    for name in "${others[@]}"; do
        log=$results/test-$name
        row "tests of $name" "$(sed -n 's/^test result: //p' "$log.log" | cut -d';' -f1-3) $(grep -m1 SKIPPED "$log.log")" \
            "$(verdict "$(cat "$log.status")")"
    done
    for kind in memcheck racecheck initcheck synccheck; do
        [[ -n $sanitizer ]] || { row "$kind" "no compute-sanitizer" missing && continue; }
        log=$results/sanitizer-$kind
        errors=$(sed -n 's/.*\(ERROR\|RACECHECK\) SUMMARY: \([0-9]*\) .*/\2/p' "$log.log" | tail -1)
        put "sanitizer.$kind" "${errors:-none}"
        if grep -qi 'device not supported\|failed to initialize' "$log.log"; then
            row "$kind" "$(grep -i -m1 'not supported\|failed to initialize' "$log.log")" refused
        elif [[ -z $errors ]]; then
            errors=$(grep -cE '^=========.*(Invalid|Uninitialized|Race|Barrier|hazard)' "$log.log")
            row "$kind" "no summary; $errors errors so far" "$(verdict "$(cat "$log.status")")"
        else
            status=$(grep -c 'random graphs on CUDA: 2 of 2' "$log.log")
            row "$kind" "$errors errors; $status of 1 tests pass" \
                "$( ((errors == 0 && status == 1)) && echo ok || echo FAILED)"
        fi
    done
}

worker() {
    limited 45 "$folder/bin/bench-ironlearn" --data "$folder/bench/data" "$@"
}

# close PRECISION LOSS RIGHT: whether a loss is as near to the right one as this precision comes.
close() {
    local precision=$1 ours=$2 right=$3 most=1e-4
    [[ $precision == tf32 ]] && most=2e-3
    [[ $precision == bf16 ]] && most=2e-2
    [[ -n $ours && $ours != none && -n $right && $right != none ]] && is "($ours - $right)^2 <= ($most * $right)^2"
}

# ours NAME PRECISION JOB CASE [OPTION...]: loss after 20 steps, which in f32 is the CPU's (see ratios for the others),
# and the median time of a step.
ours() {
    local name=$1 precision=$2 key=$1.$2 job=$3 case=$4 log loss us spread status
    shift 4
    log=$results/bench-$key
    if [[ $precision == f32 ]]; then
        loss=$(worker --job "$job" --case "$case" --threads "$(nproc)" --loss 2>"$log-cpu.log")
        put "cpu.$name.loss" "$loss"
    fi
    printf '%s\n' 'loss 20' 'run 0.3' 'run 0.3' 'run 0.3' 'run 0.3' 'run 0.3' 'run 0.3' |
        worker --device cuda --job "$job" --case "$case" "$@" >"$log.out" 2>"$log.log"
    status=$?
    loss=$(sed -n 's/.*"loss": \([^}]*\)}.*/\1/p' "$log.out" | head -1)
    read -r us spread < <(sed -n 's/.*"steps": \([0-9]*\), "seconds": \([^}]*\)}.*/\1 \2/p' "$log.out" | tail -n +2 |
        awk '{ print 1e6 * $2 / $1 }' | sort -g | awk '{ t[NR] = $1 } END { if (NR) print t[int((NR + 1) / 2)], t[NR] / t[1] - 1 }')
    put "ours.$key.loss" "${loss:-none}"
    put "ours.$key.us" "${us:-none}"
    put "ours.$key.spread" "${spread:-none}"
    if [[ -z $us ]]; then
        row "$name $precision" "$(grep -m1 . "$log.log")" "$(verdict $((status ? status : 1)))"
    else
        row "$name $precision" "$(calc '%.2f us a step (spread %.0f%%)' "$us, 100 * $spread"); loss $loss, CPU ${value[cpu.$name.loss]:-none}" \
            "$([[ $precision != f32 ]] || close f32 "$loss" "${value[cpu.$name.loss]:-}" && echo ok || echo "FAILED: loss")"
    fi
}

# same JOB CASE: whether all state is the same bits after 20 steps of two processes.
same() {
    local one two
    one=$(worker --device cuda --job "$1" --case "$2" --hash 2>>"$results/same.log")
    two=$(worker --device cuda --job "$1" --case "$2" --hash 2>>"$results/same.log")
    row "same bits: $1 $2" "${one:-none} ${two:-none}" "$([[ -n $one && $one == "$two" ]] && echo ok || echo FAILED)"
}

# picture PRECISION: seconds of training until jobs/picture.toml draws the picture well enough.
picture() {
    local precision=$1 run=$results/picture-$1 found seconds epoch psnr status
    rm -rf "$run"
    limited 60 "$folder/bin/ironlearn" train "$folder/jobs/picture.toml" --device cuda --out "$run" --quiet \
        --set "data.picture=$folder/data/simba-200.png" --set train.evaluate_every=1 --set picture.frames=0 \
        --set output.report=false --set "train.precision=${precision/#f32/full}" >"$run.log" 2>&1
    status=$?
    found=$(awk -F, 'FNR == 1 { file++; for (i = 1; i <= NF; i++) column[file, $i] = i; next }
        file == 1 && !epoch && $column[1, "psnr"] >= 28.06 { epoch = $1; psnr = $column[1, "psnr"] }
        file == 2 && epoch && $1 == epoch { print $column[2, "seconds"], epoch, psnr }' "$run"/{metrics,times}.csv 2>/dev/null)
    if [[ -n $found ]]; then
        read -r seconds epoch psnr <<<"$found"
        put "ours.picture.$precision.seconds" "$seconds"
        put "ours.picture.$precision.epochs" "$epoch"
        row "picture $precision" "$seconds s to $(calc %.2f "$psnr") dB, epoch $epoch" "$(verdict $status)"
    else
        row "picture $precision" "$(grep -m1 . "$run.log")" "$(verdict $((status ? status : 1)))"
    fi
}

bench() {
    local precision prefix
    for precision in f32 tf32 bf16; do
        ours image-net $precision image-net $precision-adam
    done
    for precision in f32 tf32 bf16; do
        prefix=$precision-
        [[ $precision == f32 ]] && prefix=
        # With the data in the memory of the GPU, as Trainer and the others have them.
        ours small-net-32 $precision small-net "${prefix}batch-32" --variant resident
        ours small-net-128 $precision small-net "${prefix}batch-128" --variant resident
    done
    ours small-net-32-from-host f32 small-net batch-32
    ours small-net-128-from-host f32 small-net batch-128
    ours xor-one-by-one f32 tiny xor
    ours xor f32 tiny xor --variant loop
    same image-net f32-adam
    same image-net bf16-adam
    same small-net batch-32
    for precision in f32 tf32 bf16; do picture $precision; done
}

# The kernels of the last step of 5, each with its time in us, by ncu; caches stay as the kernel before has left them.
profile() {
    local job case log ncu status
    ncu=$(tool ncu) || { row profile "no ncu" missing && return; }
    for job in image-net:{f32,tf32,bf16}-adam small-net:{,bf16-}batch-{32,128}; do
        case=${job#*:} job=${job%:*}
        log=$results/profile-$job-$case
        echo 'loss 4' | limited 60 "$ncu" --csv --graph-profiling node --clock-control none --cache-control none \
            --metrics gpu__time_duration.sum,launch__grid_size,launch__block_size,launch__registers_per_thread \
            "$folder/bin/bench-ironlearn" --data "$folder/bench/data" --device cuda --job "$job" --case "$case" \
            $([[ $job == small-net ]] && echo --variant resident) >"$log.csv" 2>"$log.log"
        status=$?
        row "profile $job $case" "$(grep -c gpu__time_duration "$log.csv") launches" "$(verdict $status)"
    done
}

# peers FRAMEWORK SECONDS [OPTION...]: figures of cuda_peers.py.
peers() {
    local framework=$1 seconds=$2 log=$results/$1${4:-} key number status
    shift 2
    PYTHONDONTWRITEBYTECODE=1 limited $((seconds + 15)) python3 "$folder/bench/python/cuda_peers.py" \
        "$framework" --seconds "$seconds" "$@" >"$log.out" 2>"$log.log"
    status=$?
    while read -r key number; do put "$key" "$number"; done <"$log.out"
    row "$framework $*" "$(grep -c . "$log.out") figures; $(grep -cE 'no time left' "$log.log") not begun" "$(verdict $status)"
    grep -E '^[a-z0-9.-]+: [A-Z]' "$log.log" | head -8 | while IFS=: read -r key number; do
        row "$framework $key" "${number:0:90}" FAILED
    done
}

gemm() {
    local status title ours tile other ratio
    [[ -e $results/nvcc.status ]] || { row gemm "no nvcc" missing && return; }
    limited 60 "$results/gemm" >"$results/gemm.out" 2>&1
    status=$?
    grep -q 'WRONG\|FAILED' "$results/gemm.out" && status=1
    row gemm "$(grep -c TFLOP "$results/gemm.out") products, $(grep -c WRONG "$results/gemm.out") wrong" "$(verdict $status)"
    # The best of ours beside cuBLAS, for each type and size.
    while IFS=$'\t' read -r title ours tile other; do
        ratio=$(calc %.2f "$other / $ours")
        row "gemm $title" "$ours us by $tile, cuBLAS $other us: $ratio times as fast" ""
        put "ratio.gemm.${title// /.}" "$ratio"
    done < <(awk '$0 ~ / us / {
        for (i = 3; $i == "At" || $i == "Bt"; i++) $2 = $2 " " $i
        title = $1 " " $2
        for (j = i; $j != "us"; j++) time = $j
        if ($i ~ /^cuBLAS/) other[title] = time
        else if (!(title in best) || time + 0 < best[title] + 0) { best[title] = time; tile[title] = $i }
    } END { for (t in best) if (t in other) print t "\t" best[t] "\t" tile[t] "\t" other[t] }' "$results/gemm.out" | sort)
}

# The times of the others beside ours, and how much faster ours is than the best of them. In tf32 and bf16 a loss is
# right where it is that of the others in the same precision: theirs, too, may be further from the CPU's in f32.
ratios() {
    local job precision unit mine best who number ratio peer key text odd loss
    for job in image-net small-net-32 small-net-128 xor picture; do
        for precision in f32 tf32 bf16; do
            unit=us best='' who='' text='' odd='' ratio=none
            [[ $job == picture ]] && unit=seconds
            mine=${value[ours.$job.$precision.$unit]:-none}
            loss=${value[ours.$job.$precision.loss]:-}
            [[ $precision == f32 ]] && loss=${value[cpu.$job.loss]:-}
            for peer in torch.eager torch.graph torch.compile-graph cupy.eager; do
                key=${peer%%.*}.$job.$precision.${peer#*.}
                number=${value[$key.$unit]:-}
                [[ -n $number ]] || continue
                text+="; $peer $number"
                [[ $job == picture ]] || close "$precision" "${value[$key.loss]:-}" "$loss" || odd+=" $peer"
                if [[ -z $best ]] || is "$number < $best"; then best=$number who=$peer; fi
            done
            if [[ -z $best ]]; then
                [[ $precision == f32 || $job == picture || -z $loss ]] || row "LOSS $job $precision" "$loss; nobody else's" unchecked
                continue
            fi
            [[ $mine == none ]] || ratio=$(calc %.2f "$best / $mine")
            put "ratio.$job.$precision" "$ratio"
            row "RATIO $job $precision" "$ratio times as fast as $who; $unit: ours $mine$text" "${odd:+FAILED: loss beside$odd}"
        done
    done
}

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
