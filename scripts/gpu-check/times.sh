# Part of gpu-check.sh: what our steps take, and their kernels.

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

# The kernels of some steps, each with its time in us, by ncu; caches stay as the kernel before has left them.
profile() {
    local job case
    ncu=$(tool ncu) || { row profile "no ncu" missing && return; }
    for job in image-net:{f32,tf32,bf16}-adam small-net:{,bf16-}batch-{32,128}; do
        case=${job#*:} job=${job%:*}
        echo 'loss 4' | profiled "$job-$case" "$folder/bin/bench-ironlearn" --data "$folder/bench/data" --device cuda \
            --job "$job" --case "$case" $([[ $job == small-net ]] && echo --variant resident)
    done
    for case in full tf32 bf16; do
        rm -rf "$results/profile-picture"
        profiled "picture-$case" "$folder/bin/ironlearn" train "$folder/jobs/picture.toml" --device cuda --quiet \
            --out "$results/profile-picture" --max-steps 4 --set "data.picture=$folder/data/simba-200.png" \
            --set picture.frames=0 --set output.report=false --set "train.precision=$case"
    done
}

# profiled NAME COMMAND...: the kernels of a command.
profiled() {
    local log=$results/profile-$1 name=$1 status
    shift
    limited 60 "$ncu" --csv --graph-profiling node --clock-control none --cache-control none \
        --metrics gpu__time_duration.sum,launch__grid_size,launch__block_size,launch__registers_per_thread \
        "$@" >"$log.csv" 2>"$log.log"
    status=$?
    row "profile $name" "$(grep -c gpu__time_duration "$log.csv") launches" "$(verdict $status)"
}
