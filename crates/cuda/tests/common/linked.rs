//! Ranks that each have a device of the stand-in, which are linked: the tests of a program run once more so.

use std::env::var_os;

/// The devices of the stand-in, where each rank has one of its own.
const DEVICES: &str = "IRONLEARN_SIM_DEVICES";

/// Whether this is such a run.
pub fn are_linked() -> bool {
    var_os(DEVICES).is_some()
}

/// Runs the tests whose names begin so once more; so many have to pass.
#[cfg(feature = "nccl")]
pub fn run_once_more(names: &str, count: usize) {
    use ironlearn_testkit::tier;
    let Some(cuda) = super::common::device().filter(|_| !are_linked()) else { return };
    if !cuda.name().contains("stand-in") {
        tier::skipped("linked GPUs", "ranks that are threads are for the stand-in, and here is a driver");
        return;
    }
    let mut tests = std::process::Command::new(std::env::current_exe().expect("this program"));
    let output = tests.args([names, "--nocapture"]).env(DEVICES, "8").output().expect("another process");
    let [said, told] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let passed = said.contains(&format!("test result: ok. {count} passed"));
    assert!(output.status.success() && passed, "{said}{told}");
    tier::report("linked GPUs", "the same bits");
}
