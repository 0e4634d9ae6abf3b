//! Tests in a process of their own: what they do to the device lasts, or they want other variables.

use std::process::{Command, Output};

const CHILD: &str = "IRONLEARN_STANDIN_CHILD";

/// Runs `body` in another process, with variables, and returns what it wrote to standard output and to standard error.
/// `None` in that process itself, and where there is no stand-in.
pub fn apart(test: &str, variables: &[(&str, &str)], body: fn()) -> Option<(String, String)> {
    if std::env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    ironlearn_testkit::standin::folder()?;
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new(exe);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    let output: Output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{test} with {variables:?}: {}\n{said}{told}", output.status);
    assert!(said.contains("1 passed"), "{test} is no test\n{said}");
    Some((said, told))
}
