//! Ranks that carry out one job together: who computes what, and that they all mean the same.

use super::train::Request;
use crate::Options;
use crate::error::Error;
use crate::io::checksum::Checksum;
use crate::job::Job;
use crate::task::data::identity::{Identity, added};
use ironlearn_ir::Store;
use ironlearn_ir::passes::Sharing;
use ironlearn_ir::ranks::{Ranks, Shares};
use std::sync::Arc;

/// Chunks of a batch where ranks train together and nothing else is said: so many ranks, or fewer, give the same bits.
pub const CHUNKS: usize = 8;

/// The chunks of a job that so many ranks carry out, where it leaves the number to the program.
pub fn chunks(job: &Job, ranks: usize) -> usize {
    match job.train.chunks {
        0 => CHUNKS.max(ranks.next_power_of_two()),
        chunks => chunks,
    }
}

/// How the steps of a job are shared among ranks, or cut into chunks by one process.
///
/// # Errors
/// [`Error::Usage`] where there are fewer chunks than ranks.
pub(in crate::task) fn sharing(job: &Job, ranks: Option<&Arc<dyn Ranks>>) -> Result<Option<Sharing>, Error> {
    let Some(ranks) = ranks else {
        let chunks = job.train.chunks;
        return Ok((chunks > 1).then(|| Sharing { shares: Shares::new(chunks, 1), ranks: None }));
    };
    let (count, chunks) = (ranks.count(), chunks(job, ranks.count()));
    if chunks < count {
        let problem =
            format!("{count} ranks, and batches are cut into {chunks} chunks: some would have nothing to do");
        let hint = format!(
            "start at most {chunks} ranks, or set train.chunks to {} for other bits",
            count.next_power_of_two()
        );
        return Err(Error::usage(problem, hint));
    }
    Ok(Some(Sharing { shares: Shares::new(chunks, count), ranks: Some(ranks.clone()) }))
}

impl Request<'_> {
    /// How steps of training are built.
    pub(in crate::task) fn step_options(&self) -> Result<Options, Error> {
        let options = self.options.clone().divides_optimizer(self.job.train.divide_optimizer);
        Ok(options.shared(sharing(self.job, self.ranks.as_ref())?))
    }

    /// Whether this process writes what is written.
    pub(in crate::task) fn is_first(&self) -> bool {
        self.ranks.as_ref().is_none_or(|ranks| ranks.rank() == 0)
    }
}

/// Compares what ranks are about to begin with.
///
/// # Errors
/// [`Error::Usage`], on all ranks the same, naming the first that differs and in what.
pub(in crate::task) fn compare(
    request: &Request<'_>,
    data: &Identity,
    arithmetic: &str,
    store: &Store,
) -> Result<(), Error> {
    let Some(ranks) = &request.ranks else { return Ok(()) };
    let facts = [
        ("version of ironlearn", env!("CARGO_PKG_VERSION").to_string()),
        ("job", Checksum::new().text(&request.job.to_toml()).finish()),
        ("instruction set", arithmetic.to_string()),
        ("data", data.to_string()),
        ("state to begin from", state(store)),
    ];
    let mine = facts.iter().map(|(_, fact)| fact.as_str()).collect::<Vec<_>>().join("\n");
    let all = ranks.gather(mine.into_bytes()).map_err(Error::device)?;
    let told: Vec<Vec<String>> =
        all.iter().map(|b| String::from_utf8_lossy(b).lines().map(String::from).collect()).collect();
    for (rank, theirs) in told.iter().enumerate() {
        let differs = |i: &usize| theirs.get(*i) != told[0].get(*i);
        let Some(i) = (0..facts.len()).find(differs) else { continue };
        let say = |rank: usize| told[rank].get(i).map_or("none", String::as_str);
        let problem =
            format!("rank {rank} has another {} than rank 0: {} and {}", facts[i].0, say(rank), say(0));
        let hint = match i {
            0 => "install the same version on every machine",
            1 => "start all ranks with one command and the same job file",
            2 => {
                "use machines of one kind and one `--device`, or set IRONLEARN_ISA to what all of them have, such as avx2"
            }
            3 => "give all ranks the same files: on a file system that they share, or as equal copies",
            _ => "give all ranks the same checkpoint: on a file system that they share, or as equal copies",
        };
        return Err(Error::usage(problem, hint));
    }
    Ok(())
}

/// The checksum of all slots.
fn state(store: &Store) -> String {
    let slots = store.ids().map(|id| store.slot(id));
    slots.fold(Checksum::new(), |sum, slot| added(sum.text(&slot.name), slot.value())).finish()
}
