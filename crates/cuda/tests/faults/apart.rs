//! Tests in a process of their own, on the stand-in: what they do to the device lasts, or they want other variables.

use crate::common;
use ironlearn_testkit::tier;
use std::process::Command;

const CHILD: &str = "IRONLEARN_FAULTS_CHILD";

/// Runs `body` in another process, with variables; gives what that wrote to standard error. `None` in that process
/// itself, and where there is no stand-in to plant faults in, or a driver that the process would find first.
pub fn apart(test: &str, variables: &[(&str, &str)], body: fn()) -> Option<String> {
    if std::env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    if !common::device()?.name().contains("stand-in") {
        tier::skipped(test, "faults are planted in the stand-in, and here is a driver");
        return None;
    }
    let mut command = Command::new(std::env::current_exe().expect("the test itself"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    let output = command.envs(variables.iter().copied()).output().expect("another process");
    let [said, told] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && said.contains("1 passed"), "{test} with {variables:?}\n{said}{told}");
    assert!(!told.contains("panicked"), "{told}");
    Some(told)
}
