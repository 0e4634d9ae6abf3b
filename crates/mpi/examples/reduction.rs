//! How long a sum over ranks takes, from its begin to its end: `mpirun -n 4 reduction [--pieces BYTES] SECONDS BYTES...`,
//! for gradients of so many bytes in `f32`. `scripts/mpi-network.sh` puts the ranks on a network.

use ironlearn_ir::plan::Fold;
use ironlearn_ir::ranks::{Group, Join, Ranks, Reduction, Shares};
use ironlearn_ir::{Array, DType, TensorType};
use ironlearn_mpi::Mpi;
use std::time::{Duration, Instant};

/// Chunks of a step, where a job says nothing.
const CHUNKS: usize = 8;
/// Of a batch, divided by all numbers of ranks that are likely.
const ROWS: usize = 1 << 16;

fn main() -> Result<(), String> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut pieces = None;
    if words.first().is_some_and(|word| word == "--pieces") {
        pieces = Some(number(words.get(1))? as usize);
        words.drain(..2);
    }
    let seconds = number(words.first())?;
    let make = move || Mpi::new().map(|mpi| pieces.into_iter().fold(mpi, Mpi::with_pieces));
    let group = Group::start(make, |problem| {
        eprintln!("error: {problem}");
        std::process::exit(1)
    })?;
    for word in &words[1..] {
        measure(&group, number(Some(word))? as usize, seconds)?;
    }
    Ok(())
}

fn number(word: Option<&String>) -> Result<f64, String> {
    let number = word.and_then(|word| word.parse().ok());
    number.ok_or_else(|| "give a number of seconds, and numbers of bytes".into())
}

/// As many sums as take so long, but not fewer than 7.
fn measure(group: &Group, bytes: usize, seconds: f64) -> Result<(), String> {
    let ty = TensorType::new(DType::F32, [bytes / 4]);
    let shares = Shares::new(CHUNKS, group.count());
    let subtrees = shares.pieces(group.rank(), ROWS).len();
    let pieces = vec![Array::of([bytes / 4], vec![1_f32; bytes / 4])?; subtrees];
    let once = || {
        let mine = Reduction {
            join: Join::Fold(Fold::Sum),
            shares,
            rows: ROWS,
            ty: ty.clone(),
            pieces: pieces.clone(),
        };
        let begin = Instant::now();
        group.begin(0, mine)?;
        group.finish(0)?;
        Ok::<Duration, String>(begin.elapsed())
    };
    let mut first = (0..3).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    first.sort();
    // All do as many as rank 0 says.
    let times = (seconds / first[1].as_secs_f64()).clamp(7.0, 500.0) as u64;
    let times = group.gather(times.to_le_bytes().to_vec())?;
    let times = times[0].first_chunk().map_or(7, |bytes| u64::from_le_bytes(*bytes));
    let mut spent = (0..times).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    spent.sort();
    let ms = |part: usize| spent[part * (spent.len() - 1) / 4].as_secs_f64() * 1e3;
    if group.rank() == 0 {
        println!(
            "{} ranks, {bytes} bytes, {times} times: median {:.3} ms, middle half {:.3} to {:.3} ms",
            group.count(),
            ms(2),
            ms(1),
            ms(3)
        );
    }
    Ok(())
}
