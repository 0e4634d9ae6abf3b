//! Tests in a process of their own, on the stand-in: what they do to the device lasts, or they want other variables.

use crate::common;
use ironlearn_testkit::tier;
use std::process::Command;

const CHILD: &str = "IRONLEARN_FAULTS_CHILD";

/// Runs `body` in another process, with variables; gives what that wrote to standard error. `None` in that process
/// itself, and where there is no stand-in to plant faults in, or a driver that the process would find first.
pub fn apart(test: &str, variables: &[(&str, &str)], body: fn()) -> Option<String> {
    if is_child() {
        body();
        return None;
    }
    if !can_plant(test) {
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

/// True in the other process.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// True where the device is the stand-in, in which faults can be planted; elsewhere a line says that it is not.
pub fn can_plant(test: &str) -> bool {
    let Some(cuda) = common::device() else { return false };
    let can = cuda.name().contains("stand-in");
    if !can {
        tier::skipped(test, "faults are planted in the stand-in, and here is a driver");
    }
    can
}
