//! Tests in a process of their own: what they do to the device lasts, or they want other variables.

use std::process::Command;

const CHILD: &str = "IRONLEARN_STANDIN_CHILD";

/// Runs `body` in another process, with variables, and returns what it wrote to standard output and to standard error.
/// `None` in that process itself, and where there is no stand-in.
pub fn apart(test: &str, variables: &[(&str, &str)], body: fn()) -> Option<(String, String)> {
    let (succeeds, said, told) = outcome(test, variables, body)?;
    assert!(succeeds && said.contains("1 passed"), "{test} with {variables:?}\n{said}{told}");
    Some((said, told))
}

/// The same for a process that may fail; true where it does not.
pub fn outcome(test: &str, variables: &[(&str, &str)], body: fn()) -> Option<(bool, String, String)> {
    if std::env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    ironlearn_testkit::standin::folder()?;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--include-ignored", "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert!(said.contains("running 1 test"), "{test} is no test\n{said}");
    Some((output.status.success(), said, told))
}
