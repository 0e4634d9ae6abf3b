//! Ranks and data that stay in files: each reads the rows of its own chunks.

use super::{Shared, State, by_ranks, floats, ranks_agree, state};
use ironlearn::io::npy;
use ironlearn::prelude::*;
use ironlearn::train::{Control, Watch};
use std::path::Path;

/// Rows of 16 bytes in files, of which a chunk of 8 has a window of 4 rows.
fn filed(folder: &Path, rows: usize) -> Dataset {
    let paths = ["x.npy", "y.npy"].map(|name| folder.join(name));
    npy::write(&paths[0], floats(1, &[rows, 3]).view()).unwrap();
    npy::write(&paths[1], floats(2, &[rows, 1]).view()).unwrap();
    Dataset::open_within(&paths[0], &paths[1], 2 * 8 * 4 * 16).unwrap()
}

/// Says stop after a step.
struct StopAt(u64);

impl Watch for StopAt {
    fn after_step(&mut self, step: u64) -> Control {
        if step >= self.0 { Control::Stop } else { Control::Continue }
    }
    fn last_step(&self) -> Option<u64> {
        Some(self.0)
    }
}

/// Two epochs of 14 steps, the last of which has a single row, or up to a step; from the beginning, or from a state.
fn trained(
    data: &Dataset,
    portions: usize,
    begin: Option<&State>,
    end: Option<u64>,
    shared: Shared,
) -> State {
    let network = Network::<f32>::builder([3]).linear(8).tanh().dropout(0.1).linear(1).build(5).unwrap();
    let options = Options::default().cpu(ironlearn::Cpu::new(1).unwrap()).shared(shared);
    let training = Training::new(Loss::Mse, Adam::new(0.01)).batch(23).accumulate(portions).epochs(2);
    let training = training.options(options);
    if let Some((_, slots)) = begin {
        // Which makes the slots.
        training.clone().build(&network, data, None).unwrap();
        let mut store = network.scope().store_mut();
        for (name, value) in slots {
            let slot = store.find(name).unwrap();
            store.set(slot, value.clone()).unwrap();
        }
    }
    let mut trainer = training.build(&network, data, None).unwrap();
    let loss = match end {
        Some(step) => trainer.run(&mut StopAt(step), &mut |_, _| Ok(())).map(|_| 0.0),
        None => trainer.run(&mut Silent, &mut |_, _| Ok(())).map(|outcome| outcome.evaluated.loss),
    };
    let loss = loss.unwrap();
    assert_eq!(trainer.steps(), end.unwrap_or(28));
    state(loss, network.scope())
}

/// What this process has read from files so far, in bytes; none where the system does not tell.
fn read_bytes() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/self/io").ok()?;
    told.lines().find_map(|line| line.strip_prefix("rchar: "))?.parse().ok()
}

// One test: what the process reads is measured.
#[test]
fn data_in_files() {
    any_number_of_ranks_goes_through_the_same_rows();
    ranks_read_the_files_once_together();
}

fn any_number_of_ranks_goes_through_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let data = filed(folder.path(), 300);
    for portions in [1, 2] {
        let whole = ranks_agree("files", |shared| trained(&data, portions, None, None, shared));
        // In the middle of the first epoch, and in the second.
        for (step, first, second) in [(5, 3, 2), (17, 1, 4)] {
            let stopped = by_ranks(first, |shared| trained(&data, portions, None, Some(step), shared));
            let go_on = |shared| trained(&data, portions, Some(&stopped[0]), None, shared);
            for (rank, found) in by_ranks(second, go_on).into_iter().enumerate() {
                assert_eq!(found, whole, "rank {rank} of {second} from step {step}");
            }
        }
    }
}

fn ranks_read_the_files_once_together() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["x.npy", "y.npy"].map(|name| folder.path().join(name));
    let (rows, bytes) = (4096, 4096 * 64 * 4);
    npy::write(&paths[0], floats(1, &[rows, 63]).view()).unwrap();
    npy::write(&paths[1], floats(2, &[rows, 1]).view()).unwrap();
    let data = Dataset::open_within(&paths[0], &paths[1], bytes / 8).unwrap();
    // Evaluated in memory.
    let few = Dataset::new(floats(1, &[8, 63]), floats(2, &[8, 1])).unwrap();
    for count in [1, 2, 3, 4] {
        let before = read_bytes();
        by_ranks(count, |shared| {
            let network = Network::<f32>::builder([63]).linear(1).build(5).unwrap();
            let training = Training::new(Loss::Mse, Sgd::new(0.01)).batch(256).epochs(4);
            let training = training.options(Options::default().shared(shared));
            let mut trainer = training.build(&network, &data, Some(&few)).unwrap();
            let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap();
            state(outcome.loss, network.scope())
        });
        let (Some(before), Some(after)) = (before, read_bytes()) else { return };
        // What comes after the last epoch is begun to be read, which is not needed in the end.
        let epochs = (after - before) as f64 / bytes as f64;
        assert!((4.0..4.3).contains(&epochs), "{count} ranks read {epochs} times the files in four epochs");
    }
}
