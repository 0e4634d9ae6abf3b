//! Signals as flags that are looked at between steps, and what must not end the program.

use ironlearn::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The variable that tells a call of this program which other call has started it.
pub const PARENT: &str = "IRONLEARN_PARENT";

/// Why a run is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// SIGINT, Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Interruption {
    /// The exit code of a program that ends by it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// Flags that signals set.
#[derive(Clone, Default)]
pub struct Signals {
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
    /// The call that started this one has ended.
    orphaned: Arc<AtomicBool>,
    save: Arc<AtomicBool>,
}

impl Signals {
    /// From now on SIGUSR1 asks for a save, and SIGINT and SIGTERM end the program: at once until
    /// [`Signals::wait_for_steps`] is called, as there is nothing to save, then they set a flag the first time. A
    /// write beyond the limit on the size of files is an error, not a signal.
    pub fn install() -> Result<Self, Error> {
        let signals = Self::default();
        signals.interrupted.store(true, Ordering::Relaxed);
        signals.terminated.store(true, Ordering::Relaxed);
        let register = || -> std::io::Result<()> {
            for (signal, code, set) in
                [(SIGINT, 130, &signals.interrupted), (SIGTERM, 143, &signals.terminated)]
            {
                // In this order: the signal that sets the flag finds it unset.
                flag::register_conditional_shutdown(signal, code, Arc::clone(set))?;
                flag::register(signal, Arc::clone(set))?;
            }
            #[cfg(unix)]
            {
                flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&signals.save))?;
                flag::register(signal_hook::consts::SIGUSR2, Arc::clone(&signals.orphaned))?;
                flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
            }
            Ok(())
        };
        register().map_err(|error| {
            Error::usage(format!("cannot listen to signals: {error}"), "start the program from a shell")
        })?;
        Self::end_with_parent();
        Ok(signals)
    }

    /// Where another call of this program started this one, and says so by [`PARENT`]: its end, whatever ends it, comes
    /// here as SIGUSR2. Not as SIGTERM: it comes once for each thread of the other call, and a second SIGTERM ends this
    /// one without a save.
    fn end_with_parent() {
        #[cfg(target_os = "linux")]
        if let Some(parent) = std::env::var(PARENT).ok().and_then(|text| text.parse::<i32>().ok()) {
            use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
            // Without it, it goes on to its own end.
            let _ = set_parent_process_death_signal(Some(Signal::USR2));
            if getppid().map(Pid::as_raw_pid) != Some(parent) {
                std::process::exit(i32::from(Interruption::Terminated.exit_code()));
            }
        }
    }

    /// Steps begin: from now on there is something to save before the program ends.
    pub fn wait_for_steps(&self) {
        self.interrupted.store(false, Ordering::Relaxed);
        self.terminated.store(false, Ordering::Relaxed);
    }

    /// The signal to end that has come, if any.
    pub fn interruption(&self) -> Option<Interruption> {
        if self.interrupted.load(Ordering::Relaxed) {
            Some(Interruption::Interrupted)
        } else if self.terminated.load(Ordering::Relaxed) || self.orphaned.load(Ordering::Relaxed) {
            Some(Interruption::Terminated)
        } else {
            None
        }
    }

    /// Whether a save was asked for since the last call.
    pub fn take_save(&self) -> bool {
        // A plain load first: this runs after every step.
        self.save.load(Ordering::Relaxed) && self.save.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Signals {
    /// As if the signal SIGTERM or SIGUSR1 had come.
    pub fn raise_for_test(&self, terminate: bool) {
        let flag = if terminate { &self.terminated } else { &self.save };
        flag.store(true, Ordering::Relaxed);
    }
}
