# For scripts that run ranks, which source it from the project's folder: `program` is the one with MPI, built in release unless
# IRONLEARN names one. Ends the script that says what it is for, with SKIPPED, where there is no mpirun.
command -v mpirun >/dev/null || {
    echo "SKIPPED $1: there is no mpirun"
    exit 0
}
program=${IRONLEARN:-}
if [[ -z $program ]]; then
    cargo build --quiet --release -p ironlearn-cli --features mpi
    program=${CARGO_TARGET_DIR:-target}/release/ironlearn
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 # containers have one user
