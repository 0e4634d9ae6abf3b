# Part of gpu-check.sh: random graphs, the other tests of crates/cuda, compute-sanitizer.

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
