//! What rustc says about the mistakes that types catch. `TRYBUILD=overwrite` renews the texts.

/// The compiler whose wording is pinned; others word the same errors a little differently.
const RUSTC: &str = "1.95";

#[test]
fn messages_are_as_pinned() {
    let rustc = std::env::var("RUSTC").unwrap_or("rustc".into());
    let version = std::process::Command::new(rustc).arg("--version").output().expect("rustc runs");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if !version.starts_with(&format!("rustc {RUSTC}.")) {
        eprintln!("skipped: messages are pinned for rustc {RUSTC}, this is {version}");
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/messages/*.rs");
}
