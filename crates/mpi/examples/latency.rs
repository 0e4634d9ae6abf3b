//! How long an exchange takes between ranks: `mpirun -n 2 latency`, by the thread that MPI is on, then through a group.
//! And how much of a core a rank takes that waits for the others.

use ironlearn_ir::ranks::{Ranks, Transport};
use std::time::{Duration, Instant};

const SIZES: [(usize, usize); 4] = [(8, 20_000), (64 << 10, 3_000), (4 << 20, 100), (100 << 20, 4)];

fn main() -> Result<(), String> {
    // One of both: MPI is initialised once in a process.
    if std::env::args().nth(1).as_deref() == Some("raw") { raw() } else { group() }
}

fn raw() -> Result<(), String> {
    let mut mpi = ironlearn_mpi::Mpi::new()?;
    let (rank, count) = (mpi.rank(), mpi.count());
    for (bytes, times) in SIZES {
        let of = |count: usize| -> Vec<Vec<u8>> {
            (0..count).map(|r| vec![1; if r == rank { 0 } else { bytes }]).collect()
        };
        let mut spent = Vec::new();
        for _ in 0..times {
            let to = of(count);
            let begin = Instant::now();
            mpi.exchange(to)?;
            spent.push(begin.elapsed());
        }
        report("on MPI's thread", rank, bytes, &mut spent);
    }
    Ok(())
}

fn group() -> Result<(), String> {
    let group = ironlearn_mpi::start()?;
    for (bytes, times) in SIZES {
        let mut spent = Vec::new();
        for _ in 0..times {
            let mine = vec![1; bytes];
            let begin = Instant::now();
            group.gather(mine)?;
            spent.push(begin.elapsed());
        }
        report("through a group", group.rank(), bytes, &mut spent);
    }
    let rest = Duration::from_secs(10);
    let before = processor_time();
    std::thread::sleep(rest);
    let idle = processor_time().saturating_sub(before);
    group.gather(Vec::new())?;
    let before = processor_time();
    if group.rank() == 0 {
        std::thread::sleep(rest);
    }
    group.gather(Vec::new())?;
    let waiting = processor_time().saturating_sub(before);
    let of = |spent: Duration| 100.0 * spent.as_secs_f64() / rest.as_secs_f64();
    eprintln!(
        "rank {}: {:.2} % of a core while idle, {:.2} % in an exchange of 10 s",
        group.rank(),
        of(idle),
        of(waiting)
    );
    Ok(())
}

fn report(what: &str, rank: usize, bytes: usize, spent: &mut [Duration]) {
    spent.sort();
    let (median, tenth, last) =
        (spent[spent.len() / 2], spent[spent.len() / 10], spent[spent.len() * 99 / 100]);
    if rank == 0 {
        eprintln!("{what}: {bytes} bytes: median {median:.1?}, 10 % below {tenth:.1?}, 1 % above {last:.1?}");
    }
}

/// What Linux has counted for this process, in hundredths of a second.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}
