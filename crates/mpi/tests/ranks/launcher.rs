//! Starts this test program as several ranks.

use ironlearn_testkit::tier::skipped;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// In the environment of a rank: what it does, and where it tells its process.
pub const PART: &str = "IRONLEARN_TEST_PART";
pub const FOLDER: &str = "IRONLEARN_TEST_FOLDER";

/// After this a launch has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// One launch at a time: some measure how long ranks take to end.
static ONE: Mutex<()> = Mutex::new(());

/// Ranks that run.
pub struct Launch {
    child: Child,
    begin: Instant,
    folder: tempfile::TempDir,
    _one: MutexGuard<'static, ()>,
}

/// How a launch has ended.
#[derive(Debug)]
pub struct End {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// Runs a part to its end on so many ranks. Gives nothing, and says so, where there is no launcher.
pub fn launch(ranks: usize, part: &str) -> Option<End> {
    Some(Launch::start(ranks, part)?.end())
}

/// Whether the launcher is that of Open MPI; nothing where there is none. Others name processes, not ranks, and end with the
/// code of those that they have killed.
pub fn is_open_mpi() -> Option<bool> {
    let version = Command::new("mpirun").arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&version.stdout).contains("Open MPI"))
}

impl Launch {
    pub fn start(ranks: usize, part: &str) -> Option<Launch> {
        let Some(is_open_mpi) = is_open_mpi() else {
            skipped(&format!("ranks under a launcher: {part}"), "there is no mpirun");
            return None;
        };
        let mut command = Command::new("mpirun");
        command.args(["-n", &ranks.to_string()]);
        if is_open_mpi {
            // Containers have one user, and few cores.
            command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
            command.arg("--oversubscribe");
        }
        Some(Launch::spawn(command.arg(std::env::current_exe().unwrap()), part))
    }

    /// One process that no launcher has started.
    pub fn alone(part: &str) -> Option<End> {
        is_open_mpi()?;
        Some(Launch::spawn(&mut Command::new(std::env::current_exe().unwrap()), part).end())
    }

    fn spawn(command: &mut Command, part: &str) -> Launch {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        command.args(["as_rank", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(PART, part).env(FOLDER, folder.path()).stdin(Stdio::null());
        // Files, which no launcher that is stopped leaves open.
        let file = |name| fs::File::create(folder.path().join(name)).unwrap();
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Launch { child, begin: Instant::now(), folder, _one }
    }

    /// Waits until so many ranks have told their processes.
    pub fn processes(&self, ranks: usize) -> Vec<u32> {
        let of = |rank: usize| -> Option<u32> {
            fs::read_to_string(self.folder.path().join(format!("rank-{rank}")))
                .ok()?
                .strip_suffix('\n')?
                .parse()
                .ok()
        };
        while self.begin.elapsed() < PATIENCE {
            let found: Vec<u32> = (0..ranks).filter_map(of).collect();
            if found.len() == ranks {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} ranks have not started: {}", ranks, self.text("stderr"));
    }

    /// From now on time is measured.
    pub fn restart_clock(&mut self) {
        self.begin = Instant::now();
    }

    pub fn end(mut self) -> End {
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            if self.begin.elapsed() > PATIENCE {
                let _ = self.child.kill();
                panic!("no end after {PATIENCE:?}: {}{}", self.text("stdout"), self.text("stderr"));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let took = self.begin.elapsed();
        End { code, stdout: self.text("stdout"), stderr: self.text("stderr"), took }
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join(name)).unwrap_or_default()).into_owned()
    }
}

impl End {
    pub fn check_success(&self) {
        assert_eq!(self.code, Some(0), "{self:#?}");
        assert!(self.stderr.is_empty(), "{self:#?}");
    }

    /// How many ranks have said so.
    pub fn count(&self, word: &str) -> usize {
        self.stdout.lines().filter(|line| line.contains(word)).count()
    }

    pub fn seconds(&self) -> f64 {
        self.took.as_secs_f64()
    }
}

/// Sends a signal to processes.
pub fn signal(name: &str, processes: &[u32]) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).args(processes.iter().map(u32::to_string));
    assert!(kill.status().unwrap().success());
}

/// True where a process runs: neither gone nor, as its parent is, waiting for someone to ask how it has ended.
pub fn runs(process: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    !matches!(state.rsplit(") ").next().and_then(|rest| rest.chars().next()), None | Some('Z' | 'X'))
}
