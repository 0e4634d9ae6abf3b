# Part of gpu-check.sh: the same by other programs, kernels of products beside cuBLAS, and how many times as fast ours are.

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
