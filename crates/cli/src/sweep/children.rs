//! [`Children`]: processes of this program, so many at once.

use crate::signals::{Interruption, PARENT, Signals};
use ironlearn::Error;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

/// How often processes are looked after.
const LOOK: Duration = Duration::from_millis(20);
/// The most that is kept of what a process says.
const MOST_BYTES: u64 = 1 << 20;

/// A call of this program that is to be made.
pub struct Task {
    /// By which its end is told.
    pub number: usize,
    pub arguments: Vec<OsString>,
}

/// A call that has ended.
pub struct Ended {
    pub number: usize,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// A call that goes on.
struct Running {
    number: usize,
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

/// Runs calls of this program.
pub struct Children {
    program: PathBuf,
    signals: Signals,
    running: Vec<Running>,
}

impl Children {
    /// # Errors
    /// [`Error::Usage`] where the program does not find itself.
    pub fn new(signals: Signals) -> Result<Self, Error> {
        let program = std::env::current_exe();
        let lost =
            |error| Error::usage(format!("the program does not find itself: {error}"), "call it by its path");
        Ok(Self { program: program.map_err(lost)?, signals, running: Vec::new() })
    }

    /// Makes all calls, at most so many at once, and tells of each end. A signal to end is passed on to all that go on,
    /// once; they are waited for, and no further ones begin.
    ///
    /// # Errors
    /// [`Error::Io`] where a process cannot be started, once those that go on have ended; what `ended` returns.
    pub fn run(
        &mut self,
        tasks: Vec<Task>,
        at_once: usize,
        mut ended: impl FnMut(Ended) -> Result<(), Error>,
    ) -> Result<Option<Interruption>, Error> {
        let mut tasks = tasks.into_iter();
        let mut failure = None;
        let mut interruption = None;
        loop {
            if let (None, Some(signal)) = (interruption, self.signals.interruption()) {
                interruption = Some(signal);
                self.running.iter_mut().for_each(|running| pass_on(&mut running.child, signal));
            }
            let goes_on = interruption.is_none() && failure.is_none();
            while goes_on && failure.is_none() && self.running.len() < at_once {
                let Some(task) = tasks.next() else { break };
                failure = self.start(task).err();
            }
            if self.running.is_empty() {
                break;
            }
            sleep(LOOK);
            let mut at = 0;
            while at < self.running.len() {
                match self.running[at].child.try_wait() {
                    Ok(None) => at += 1,
                    Ok(Some(status)) => {
                        if let Err(error) = ended(self.running.swap_remove(at).end(status)) {
                            failure.get_or_insert(error);
                        }
                    }
                    Err(error) => {
                        let lost = self.running.swap_remove(at);
                        failure.get_or_insert(Error::io(&self.program, "wait for")(error));
                        drop(lost);
                    }
                }
            }
        }
        failure.map_or(Ok(interruption), Err)
    }

    fn start(&mut self, task: Task) -> Result<(), Error> {
        let mut command = Command::new(&self.program);
        command.env(PARENT, std::process::id().to_string());
        command.args(task.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C goes to all processes of a terminal's group: these get it from here, once.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(Error::io(&self.program, "start"))?;
        let (stdout, stderr) = (child.stdout.take().map(reader), child.stderr.take().map(reader));
        self.running.push(Running { number: task.number, child, stdout, stderr });
        Ok(())
    }
}

impl Running {
    fn end(self, status: ExitStatus) -> Ended {
        let text =
            |reader: Option<JoinHandle<String>>| reader.and_then(|r| r.join().ok()).unwrap_or_default();
        Ended { number: self.number, status, stdout: text(self.stdout), stderr: text(self.stderr) }
    }
}

/// Reads on another thread, so that no process waits for its reader.
fn reader(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read was not said.
        let _ = pipe.by_ref().take(MOST_BYTES).read_to_end(&mut bytes);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Asks a process that has not been waited for to end, so that its number is still its own.
#[cfg(unix)]
fn pass_on(child: &mut Child, interruption: Interruption) {
    use rustix::process::{Pid, Signal, kill_process};
    let signal = match interruption {
        Interruption::Interrupted => Signal::INT,
        Interruption::Terminated => Signal::TERM,
    };
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // One that has ended meanwhile needs no signal.
        let _ = kill_process(pid, signal);
    }
}

#[cfg(not(unix))]
fn pass_on(child: &mut Child, _interruption: Interruption) {
    let _ = child.kill();
}
