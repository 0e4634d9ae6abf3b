#!/usr/bin/env bash
# Packs what scripts/gpu-check.sh needs on a machine with a GPU and without cargo and network into a folder:
#
#   scripts/gpu-pack.sh [FOLDER]    default: target/gpu
#
# Tests of crates/cuda, the program, the worker of the benchmarks, data, the workers of other frameworks, sources of the
# benchmark of matrix products: at most 55 MB. MNIST and the picture come from $IRONLEARN_DATA (default ../shared/data).
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-target/gpu}
[[ $folder != -* ]] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
most=55
source=${IRONLEARN_DATA:-../shared/data}
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target" "$folder"/{bin,data/{iron_learn,mnist},jobs,scripts,bench/{cuda,python,picture-quality},crates/cuda/kernels}
rm -rf "$folder"/bin/* "$folder/bin.tar.gz" "$folder/results"

# NAME PATH of each executable that cargo names in its messages: the program, and what tests crates/cuda. The tests of
# the stand-in and those that only compile stay here: they never ask a real driver.
wanted() {
    python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line) if line.startswith("{") else {}
    path, target = message.get("executable"), message.get("target", {})
    if path and not message["profile"]["test"] and target["name"] == "ironlearn":
        print("ironlearn", path)
    elif path and target["src_path"].find("/crates/cuda/") >= 0 and target["name"] not in ("standin", "cubins"):
        print("test-" + target["name"].removeprefix("ironlearn_"), path)
'
}

take() {
    cp "$2" "$folder/bin/$1"
    strip "$folder/bin/$1"
}

# One command, so that every crate is compiled once; the worker has dependencies of its own.
cargo build --release -p ironlearn-cuda -p ironlearn-cli --bins --tests --message-format=json >"$target/gpu-messages"
wanted <"$target/gpu-messages" | while read -r name path; do take "$name" "$path"; done
CARGO_TARGET_DIR=$target cargo build --release --manifest-path bench/ironlearn/Cargo.toml
take bench-ironlearn "$target/release/bench-ironlearn"

[[ -d $folder/bench/data/mnist ]] || IRONLEARN_DATA=$source python3 bench/cuda/pack_data.py "$folder/bench/data"
cp "$source/pictures/simba-200.png" "$folder/data/"
cp "$source"/iron_learn/{linear,logistic,neural_net,image}.json "$folder/data/iron_learn/"
cp "$source"/mnist/t10k-*.gz "$folder/data/mnist/"
cp jobs/picture.toml "$folder/jobs/"
cp bench/python/{cuda_ceilings,cuda_peers,cuda_torch,cuda_cupy,torch_worker,worker}.py "$folder/bench/python/"
cp bench/picture-quality/{compare,png}.py "$folder/bench/picture-quality/"
cp bench/cuda/{gemm.cu,harness.cuh} "$folder/bench/cuda/"
cp crates/cuda/kernels/*.cuh "$folder/crates/cuda/kernels/"
cp -r scripts/gpu-check{.sh,} "$folder/scripts/"
git describe --always --dirty=+changes >"$folder/commit" 2>/dev/null || echo unknown >"$folder/commit"

packed=$(ls "$folder/bin" | paste -sd' ')
tar -C "$folder" -czf "$folder/bin.tar.gz" bin
rm -r "$folder/bin"
size=$(du -sm "$folder" | cut -f1)
echo "$folder: $size MB, $packed"
((size <= most)) || { echo "more than $most MB" >&2; exit 1; }
