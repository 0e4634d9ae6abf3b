//! [`Local`]: ranks that are threads of one process, for tests.

use super::{Group, Transport};
use std::sync::mpsc::{Receiver, Sender, channel};

/// One of several ranks in a process.
pub struct Local {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
}

impl Local {
    /// So many ranks that know each other.
    pub fn ranks(count: usize) -> Vec<Local> {
        let mut all: Vec<Local> =
            (0..count).map(|rank| Local { rank, to: Vec::new(), from: Vec::new() }).collect();
        for sender in 0..count {
            for receiver in 0..count {
                let (to, from) = channel();
                all[sender].to.push(to);
                all[receiver].from.push(from);
            }
        }
        all
    }

    /// The same, each with its thread.
    pub fn groups(count: usize) -> Vec<Group> {
        let make = |local: Local| Group::start(move || Ok(local), |_| {}).ok();
        Local::ranks(count).into_iter().filter_map(make).collect()
    }
}

impl Transport for Local {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.to.len()
    }

    fn exchange(&mut self, to: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, String> {
        let gone = |rank: usize| format!("rank {rank} has ended");
        for (rank, (to, bytes)) in self.to.iter().zip(to).enumerate() {
            to.send(bytes).map_err(|_| gone(rank))?;
        }
        self.from.iter().enumerate().map(|(rank, from)| from.recv().map_err(|_| gone(rank))).collect()
    }

    fn idle(&mut self) -> Result<(), String> {
        Ok(())
    }
}
