//! Signals as flags that are looked at between steps.

use ironlearn::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    save: Arc<AtomicBool>,
}

impl Signals {
    /// From now on SIGINT and SIGTERM set a flag the first time and end the program at once the second
    /// time; SIGUSR1 asks for a save.
    pub fn install() -> Result<Self, Error> {
        let signals = Self::default();
        let register = || -> std::io::Result<()> {
            for (signal, code, set) in
                [(SIGINT, 130, &signals.interrupted), (SIGTERM, 143, &signals.terminated)]
            {
                // In this order: the first signal finds the flag unset, and sets it.
                flag::register_conditional_shutdown(signal, code, Arc::clone(set))?;
                flag::register(signal, Arc::clone(set))?;
            }
            #[cfg(unix)]
            flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&signals.save))?;
            Ok(())
        };
        register().map_err(|error| {
            Error::usage(format!("cannot listen to signals: {error}"), "start the program from a shell")
        })?;
        Ok(signals)
    }

    /// The signal to end that has come, if any.
    pub fn interruption(&self) -> Option<Interruption> {
        if self.interrupted.load(Ordering::Relaxed) {
            Some(Interruption::Interrupted)
        } else if self.terminated.load(Ordering::Relaxed) {
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
