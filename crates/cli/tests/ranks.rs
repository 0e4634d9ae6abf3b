//! Runs that several ranks carry out leave the same files, byte for byte, as one process does; one that is killed or
//! stopped ends all, and the run goes on to the same files.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

#[cfg(not(feature = "mpi"))]
#[test]
fn a_program_without_mpi_does_not_train_the_same_run_several_times() {
    let folder = common::folder();
    let mut program = common::program(folder.path());
    program.env("OMPI_COMM_WORLD_SIZE", "2").args(["train", "picture.toml"]);
    let output = program.output().unwrap();
    let said = common::text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("built without MPI") && said.contains("--features mpi"), "{said}");
}

#[cfg(feature = "mpi")]
mod under_a_launcher {
    use super::common::{self, KINDS, difference, files, folder, in_folder, program, succeeds, text};
    use ironlearn_testkit::rng::Rng;
    use ironlearn_testkit::tier::{report, seed, skipped, trials};
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::process::{Child, Command, Output, Stdio};
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    /// One launch at a time: some measure how long ranks take to end.
    static ONE: Mutex<()> = Mutex::new(());

    /// All ranks end within this time.
    const SOON: Duration = Duration::from_secs(10);

    /// A run of about a second that is always saving.
    const SAVING: &str = "picture.toml --set train.epochs=60 --set train.save_every=1 --set picture.frames=0";

    /// Nothing, and a word of it, where there is no launcher.
    fn launcher(what: &str) -> Option<MutexGuard<'static, ()>> {
        if Command::new("mpirun").arg("--version").output().is_err() {
            skipped(what, "there is no mpirun");
            return None;
        }
        Some(ONE.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn mpirun(folder: &Path) -> Command {
        let mut command = in_folder(Command::new("mpirun"), folder);
        // Containers have one user, and few cores.
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command.args(["--oversubscribe", "--bind-to", "none"]);
        command
    }

    fn ranks(folder: &Path, count: usize, arguments: &str) -> Command {
        let mut command = mpirun(folder);
        command.args(["-n", &count.to_string(), env!("CARGO_BIN_EXE_ironlearn")]);
        command.args(arguments.split_whitespace()).stdin(Stdio::null());
        command
    }

    fn succeed(folder: &Path, count: usize, arguments: &str) -> Output {
        let output = ranks(folder, count, arguments).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{count} ranks, {arguments}: {:?}\n{said}", output.status);
        output
    }

    /// The process of a rank that works in this folder, once it joins the others: a process that dies while its launcher
    /// still starts the next one leaves Open MPI waiting for itself, and is no rank yet.
    fn process(folder: &Path, rank: usize) -> Option<u32> {
        let variable = format!("OMPI_COMM_WORLD_RANK={rank}\0");
        processes(folder, &variable).into_iter().find(|pid| joins(&Path::new("/proc").join(pid.to_string())))
    }

    /// Processes that work in this folder and have this in their environment; none that has ended.
    fn processes(folder: &Path, variable: &str) -> Vec<u32> {
        let here = fs::metadata(folder).unwrap();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let such = entries.filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let place = fs::metadata(entry.path().join("cwd")).ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let is_here = (place.dev(), place.ino()) == (here.dev(), here.ino());
            (is_here && text(&environment).contains(variable)).then_some(pid)
        });
        such.collect()
    }

    /// Whether a process has the thread that talks to other ranks.
    fn joins(process: &Path) -> bool {
        let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
        let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
        names.into_iter().any(|name| name.trim() == "ranks")
    }

    fn start(folder: &Path, count: usize, arguments: &str) -> Child {
        // Files, which no launcher that is stopped leaves open.
        let file = |name| fs::File::create(folder.join(name)).unwrap();
        ranks(folder, count, arguments).stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap()
    }

    /// Waits for a launch to end, which must be soon; its exit code and what it says.
    fn ends_soon(folder: &Path, child: Child) -> (Option<i32>, String) {
        ends_or_waits_for_itself(folder, child).expect("the launcher goes on, without a rank")
    }

    /// The same; `None`, and it is ended, where all ranks are gone and Open MPI's launcher waits for itself: see
    /// docs/scale.md.
    fn ends_or_waits_for_itself(folder: &Path, mut child: Child) -> Option<(Option<i32>, String)> {
        let began = Instant::now();
        while began.elapsed() < SOON {
            if let Some(status) = child.try_wait().unwrap() {
                return Some((status.code(), fs::read_to_string(folder.join("stderr")).unwrap()));
            }
            sleep(Duration::from_millis(5));
        }
        assert_eq!(processes(folder, "OMPI_COMM_WORLD_RANK="), [0; 0], "ranks go on");
        child.kill().unwrap();
        child.wait().unwrap();
        None
    }

    /// Sends a signal; false where the process has ended meanwhile.
    #[must_use]
    fn signal(name: &str, process: u32) -> bool {
        Command::new("kill").args(["-s", name, &process.to_string()]).output().unwrap().status.success()
    }

    #[test]
    fn any_number_of_ranks_leaves_the_files_of_one_process() {
        let Some(_one) = launcher("runs of several ranks") else { return };
        let folder = folder();
        let at = folder.path();
        let counts: &[usize] = if trials(0, 1) == 1 { &[1, 2, 3, 4, 8] } else { &[2] };
        let mut compared = 0;
        for (kind, _) in KINDS {
            for limit in ["", " --max-steps 5"] {
                let remove = |name: &str| fs::remove_dir_all(at.join(name)).unwrap();
                succeeds(at, &format!("train {kind}.toml --out alone --set train.chunks=8{limit}"));
                let whole = files(&at.join("alone"));
                for &count in counts {
                    succeed(at, count, &format!("train {kind}.toml --out ranks{limit}"));
                    let mut found = files(&at.join("ranks"));
                    if kind == "skips" {
                        // Ranks with one chunk each can name the rows of a step that is skipped.
                        found.insert("report.html".into(), whole[Path::new("report.html")].clone());
                    }
                    assert_eq!(difference(&whole, &found), None, "{kind}{limit}, {count} ranks");
                    remove("ranks");
                    compared += 1;
                }
                remove("alone");
            }
        }
        report("ranks", format!("{compared} runs of {} kinds: the bytes of one process", KINDS.len()));
    }

    #[test]
    fn a_run_goes_on_with_any_number_of_ranks() {
        let Some(_one) = launcher("runs that other numbers of ranks go on with") else { return };
        let folder = folder();
        let at = folder.path();
        succeeds(at, "train colours.toml --out whole --set train.chunks=8");
        succeed(at, 2, "train colours.toml --out run --max-steps 3");
        succeed(at, 3, "resume run --max-steps 7");
        succeeds(at, "resume run --max-steps 9");
        succeed(at, 4, "resume run");
        assert_eq!(difference(&files(&at.join("whole")), &files(&at.join("run"))), None);
    }

    #[test]
    fn a_limit_that_all_steps_are_within_stops_no_rank() {
        let Some(_one) = launcher("ranks with a limit that is not met") else { return };
        let folder = folder();
        let at = folder.path();
        succeeds(at, "train colours.toml --out alone --set train.chunks=8");
        let rows = fs::read_to_string(at.join("alone/metrics.csv")).unwrap();
        let steps = |row: &str| row.split(',').filter_map(|n| n.parse::<u64>().ok()).max();
        let last = rows.lines().last().and_then(steps).unwrap();
        let output = succeed(at, 2, &format!("train colours.toml --out ranks --max-steps {last}"));
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("done") && !said.contains("saved"), "{last} steps: {said}");
        assert_eq!(difference(&files(&at.join("alone")), &files(&at.join("ranks"))), None);
    }

    #[test]
    fn a_rank_that_is_killed_ends_all_and_the_run_goes_on_to_the_same_files() {
        let Some(_one) = launcher("ranks that are killed") else { return };
        let folder = folder();
        let at = folder.path();
        succeeds(at, &format!("train {SAVING} --out whole --quiet --set train.chunks=8"));
        let whole = files(&at.join("whole"));
        let began = Instant::now();
        succeed(at, 2, &format!("train {SAVING} --out timed --quiet"));
        let time = began.elapsed().as_secs_f64();
        let mut random = Rng::new(seed());
        let (wanted, mut kills, mut slowest) = (trials(4, 50), 0, Duration::ZERO);
        let mut stuck = 0;
        while kills < wanted {
            assert!(stuck <= 1 + wanted / 10, "the launcher went on without a rank {stuck} times");
            let resumes = at.join("run/job.toml").exists();
            let command = if resumes {
                "resume run --quiet".into()
            } else {
                format!("train {SAVING} --out run --quiet")
            };
            let child = start(at, 2, &command);
            sleep(Duration::from_secs_f64(random.float(0.0, 0.6 * time)));
            let rank = random.below(2);
            // Nothing happens where it has not begun, or has come to its end by itself.
            if !process(at, rank).is_some_and(|process| signal("KILL", process)) {
                ends_later(child);
                continue;
            }
            let killed = Instant::now();
            let ended = ends_or_waits_for_itself(at, child);
            assert_eq!(common::damaged(&at.join("run")), None, "after {kills} kills");
            let Some((code, said)) = ended else {
                stuck += 1;
                continue;
            };
            slowest = slowest.max(killed.elapsed());
            if code != Some(0) {
                assert!(said.contains(&format!("rank {rank}")), "rank {rank} was killed: {code:?} {said}");
                kills += 1;
            }
            if at.join("run/job.toml").exists() && kills % 3 == 0 {
                succeed(at, 2, "resume run --quiet");
                assert_eq!(difference(&whole, &files(&at.join("run"))), None, "after {kills} kills");
                fs::remove_dir_all(at.join("run")).unwrap();
            }
        }
        report(
            "ranks killed",
            format!(
                "{kills}: all ended within {:.1} s, same bytes; the launcher waited for itself {stuck} times",
                slowest.as_secs_f64()
            ),
        );
    }

    fn ends_later(mut child: Child) {
        child.wait().unwrap();
    }

    #[test]
    fn a_rank_that_is_stopped_ends_all() {
        let Some(_one) = launcher("a rank that is stopped") else { return };
        let folder = folder();
        let at = folder.path();
        let child = start(
            at,
            2,
            "train picture.toml --out run --set train.epochs=100000000 --set train.save_interval=0.2s --quiet",
        );
        let began = Instant::now();
        while !at.join("run/last.safetensors").exists() {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is saved");
            sleep(Duration::from_millis(5));
        }
        assert!(signal("STOP", process(at, 1).unwrap()), "rank 1 has ended");
        let (code, said) = ends_soon(at, child);
        assert_eq!(code, Some(8), "{said}");
        assert!(said.contains("rank 1 (host ") && said.contains("has not been heard of"), "{said}");
        assert_eq!(common::damaged(&at.join("run")), None);
    }

    #[test]
    fn ranks_that_are_not_alike_do_not_begin() {
        let Some(_one) = launcher("ranks that are not alike") else { return };
        let folder = folder();
        let at = folder.path();
        let program = env!("CARGO_BIN_EXE_ironlearn");
        let isa = |name: &str| format!("IRONLEARN_ISA={name}");
        let mut command = mpirun(at);
        command.args([
            "-n",
            "1",
            "-x",
            &isa("scalar"),
            program,
            "train",
            "picture.toml",
            "--out",
            "run",
            ":",
        ]);
        command.args(["-n", "1", "-x", &isa(&best()), program, "train", "picture.toml", "--out", "run"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("rank 1 has another instruction set than rank 0"), "{said}");
        assert!(!at.join("run").exists(), "a run that came to nothing leaves nothing");
    }

    /// An instruction set of this machine that is not the plainest.
    fn best() -> String {
        if cfg!(target_arch = "x86_64") { "avx2".into() } else { "neon".into() }
    }

    #[test]
    fn a_mistake_is_told_once_and_more_ranks_than_chunks_are_refused() {
        let Some(_one) = launcher("mistakes told by ranks") else { return };
        let folder = folder();
        let at = folder.path();
        let refused = |arguments: &str| {
            let output = ranks(at, 3, arguments).output().unwrap();
            (output.status.code(), text(&output.stderr))
        };
        let (code, said) = refused("train picture.toml --set optimizer.rat=1");
        assert_eq!((code, said.matches("error: ").count()), (Some(2), 1), "{said}");
        let (code, said) = refused("train picture.toml --set train.chunks=2");
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("3 ranks") && said.contains("2 chunks"), "{said}");
    }

    #[test]
    fn a_program_that_no_launcher_has_started_knows_nothing_of_ranks() {
        let folder = folder();
        let output = program(folder.path()).args(["train", "picture.toml"]).output().unwrap();
        assert!(output.status.success() && !text(&output.stderr).contains("ranks"));
    }
}
