//! Disks that are full or read-only, and files that may not grow: the older checkpoint stands, the failure is said, and
//! the run goes on when there is room again.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{damaged, difference, files, folder, in_folder, still_possible, succeeds, text};
use ironlearn_testkit::tier::{report, skipped, trials};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A checkpoint of about 100 kB.
const JOB: &str = "picture.toml --set network.layers=[{siren=80},{siren=80},{linear=1}] --set train.epochs=2 \
                   --set picture.frames=0 --quiet";

const PROGRAM: &str = env!("CARGO_BIN_EXE_ironlearn");

fn shell(folder: &Path, script: &str) -> Output {
    let mut command = in_folder(Command::new("sh"), folder);
    command.args(["-c", script]).output().unwrap()
}

/// Writes beyond the limit are cut short, then refused: a short write at every place where one can be.
#[test]
fn a_file_that_may_not_grow_is_not_saved_and_the_older_one_stands() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, &format!("train {JOB} --out whole"));
    succeeds(at, &format!("train {JOB} --out stopped --max-steps 1"));
    let whole = files(&at.join("whole"));
    let size = fs::metadata(at.join("stopped/last.safetensors")).unwrap().len();
    assert!(size > 60_000);
    // Blocks of 512 bytes; the metrics and the job stay below the first limit.
    let every = trials(16, 1);
    let (mut cases, mut refused) = (0, 0);
    for blocks in (4..size.div_ceil(512) + 4).step_by(every) {
        assert!(
            Command::new("cp").args(["-r", "stopped", "run"]).current_dir(at).status().unwrap().success()
        );
        let old = fs::read(at.join("run/last.safetensors")).unwrap();
        let output = shell(at, &format!("ulimit -f {blocks}; exec {PROGRAM} resume run --quiet"));
        let said = text(&output.stderr);
        match output.status.code() {
            Some(0) => assert!(512 * blocks >= size, "{blocks}: {said}"),
            Some(5) => {
                assert!(said.contains("error: ") && said.contains("run/"), "{blocks}: {said}");
                assert!(512 * blocks > size || fs::read(at.join("run/last.safetensors")).unwrap() == old);
                refused += 1;
            }
            other => panic!("{blocks}: {other:?} {said}"),
        }
        assert_eq!(damaged(&at.join("run")), None, "{blocks}");
        succeeds(at, "resume run --quiet");
        let found = files(&at.join("run"));
        let possible = |files| still_possible(files, &said);
        assert_eq!(difference(&possible(&whole), &possible(&found)), None, "{blocks}: {said}");
        fs::remove_dir_all(at.join("run")).unwrap();
        cases += 1;
    }
    assert!(refused > cases / 2, "{refused} of {cases}");
    report(
        "short writes",
        format!("{cases} limits on the size of files, {refused} of them too small: none unseen, none lost"),
    );
}

/// Whether this process may mount a file system of its own; says so where it may not.
fn may_mount(test: &str) -> bool {
    let can = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    let can = can.is_ok_and(|output| output.status.success());
    if !can {
        skipped(test, "no file system can be mounted here (unshare -rm)");
    }
    can
}

/// Trains on a file system of this size, resumes with more room, and copies the run to `run`; what each said.
fn on_a_disk(folder: &Path, size: &str, spoil: &str) -> (i32, String) {
    let script = format!(
        "mkdir -p disk && mount -t tmpfs -o size={size} none disk || exit 99\n\
         {PROGRAM} train {JOB} --out disk/run --max-steps 1 2>first || exit 98\n\
         {spoil}\n\
         {PROGRAM} resume disk/run --quiet 2>said; code=$?\n\
         cp disk/run/last.safetensors middle.safetensors || exit 97\n\
         rm -f disk/ballast; mount -o remount,rw,size=50m none disk || exit 96\n\
         {PROGRAM} resume disk/run --quiet || exit 95\n\
         cp -r disk/run run || exit 94\n\
         exit $code"
    );
    let mut command = in_folder(Command::new("unshare"), folder);
    let output =
        command.args(["-rm", "sh", "-c", &script.replace('[', "'[").replace(']', "]'")]).output().unwrap();
    let said = fs::read_to_string(folder.join("said")).unwrap_or_default();
    (output.status.code().unwrap(), format!("{said}{}", text(&output.stderr)))
}

#[test]
fn a_full_or_read_only_disk_loses_nothing() {
    if !may_mount("full and read-only disks") {
        return;
    }
    let folder = folder();
    let at = folder.path();
    succeeds(at, &format!("train {JOB} --out whole"));
    let whole = files(&at.join("whole"));
    let full = "dd if=/dev/zero of=disk/ballast bs=1k 2>/dev/null";
    for (spoil, expected) in [
        (full.to_string(), "No space left"),
        (format!("{full}; truncate -s -40k disk/ballast"), "No space left"),
        ("mount -o remount,ro none disk".into(), "Read-only"),
    ] {
        let (code, said) = on_a_disk(at, "1m", &spoil);
        assert_eq!(code, 5, "{spoil}: {said}");
        assert!(said.contains(expected) && said.contains("help:"), "{spoil}: {said}");
        let found = files(&at.join("run"));
        let possible = |files| still_possible(files, &said);
        assert_eq!(difference(&possible(&whole), &possible(&found)), None, "{spoil}: {said}");
        assert_eq!(damaged(&at.join("run")), None);
        fs::remove_dir_all(at.join("run")).unwrap();
    }
    report("full and read-only disks", "3 of 3: said, nothing lost, resumed to the same bytes");
}
