//! What ranks do.

use crate::launcher::FOLDER;
use ironlearn_ir::plan::Fold;
use ironlearn_ir::ranks::{Group, Join, Local, Ranks, Reduction, Shares, Transport};
use ironlearn_ir::{Array, DType, TensorType};
use ironlearn_mpi::Mpi;
use std::io::Write;
use std::time::Duration;

/// How long a rank computes that others wait for: longer than silence may last.
pub const SLOW: Duration = Duration::from_secs(12);

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(300);

pub fn take(part: &str) {
    match part {
        "exchange" => exchange(),
        "reduce" => reduce(),
        "alone" => alone(),
        "slow" => slow(),
        "compute" => compute(),
        "wait" => wait(),
        "transfer" => transfer(),
        "fail" => fail(),
        "fail-late" => fail_late(),
        "leave" => leave(),
        "beat" => beat(),
        other => panic!("no part {other}"),
    }
}

/// One write: lines of several ranks do not mix.
fn say(text: &str) {
    std::io::stdout().lock().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Tells the test which process this is.
fn tell(rank: usize) {
    let folder = std::env::var(FOLDER).unwrap();
    std::fs::write(format!("{folder}/rank-{rank}"), format!("{}\n", std::process::id())).unwrap();
}

fn start() -> Group {
    assert!(ironlearn_mpi::is_launched());
    let group = ironlearn_mpi::start().unwrap();
    tell(group.rank());
    group
}

/// What a rank sends another, of which no two are alike.
fn message(from: usize, to: usize, round: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i.wrapping_mul(31) ^ (i >> 9) ^ (from * 7 + to * 13 + round * 29)) as u8).collect()
}

fn exchange() {
    // The length of a head, one piece and several, the largest eager messages of MPI, and what is far above.
    const SIZES: [usize; 14] =
        [0, 1, 100, 2039, 2040, 2041, 4096, 4097, 20_000, 65_536, 65_537, 1 << 20, 4 << 20, 3];
    let mut mpi = Mpi::new().unwrap().with_pieces(1 << 20);
    let (rank, count) = (mpi.rank(), mpi.count());
    let of = |round: usize, from: usize, to: usize| {
        // All alike, then each pair another size, then one way only.
        let size = match round / SIZES.len() {
            0 => SIZES[round],
            1 => SIZES[(round + 3 * from + 5 * to) % SIZES.len()],
            _ => SIZES[round % SIZES.len()] * usize::from((from + 1) % count == to),
        };
        message(from, to, round, size)
    };
    for round in 0..3 * SIZES.len() {
        let received = mpi.exchange((0..count).map(|to| of(round, rank, to)).collect()).unwrap();
        for (from, received) in received.iter().enumerate() {
            assert!(*received == of(round, from, rank), "round {round}, from {from} to {rank}");
        }
    }
    drop(large(mpi.with_pieces(usize::MAX), rank, count));
    say("exchanged");
}

/// 100 MB on a ring, in one message and in many that do not divide it.
fn large(mut mpi: Mpi, rank: usize, count: usize) -> Mpi {
    const LARGE: usize = 100_000_000;
    for piece in [usize::MAX, 777_777] {
        mpi = mpi.with_pieces(piece);
        let of = |from: usize, to: usize| message(from, to, 1, LARGE * usize::from((from + 1) % count == to));
        let received = mpi.exchange((0..count).map(|to| of(rank, to)).collect()).unwrap();
        let is_right = |(from, bytes): (usize, &Vec<u8>)| *bytes == of(from, rank);
        assert!(received.iter().enumerate().all(is_right), "{piece} bytes each");
    }
    assert!(mpi.exchange(Vec::new()).is_err());
    mpi
}

/// Sums whose bits depend on their order.
fn sum(group: &dyn Ranks, rows: usize, n: usize) -> Array {
    let shares = Shares::new(8, group.count());
    let value = |chunk: usize, i: usize| ((chunk * 37 + i * 11) % 101) as f32 * 1.1e-3 + (chunk as f32).exp();
    let piece = |piece| {
        let leaf = &mut |node: &std::ops::Range<usize>| {
            (node.len() == 1).then(|| (0..n).map(|i| value(node.start, i)).collect::<Vec<f32>>())
        };
        let add = &mut |a: Vec<f32>, b: Vec<f32>| a.into_iter().zip(b).map(|(a, b)| a + b).collect();
        Array::of([n], shares.fold_below(piece, rows, leaf, add).unwrap()).unwrap()
    };
    let pieces = shares.pieces(group.rank(), rows).into_iter().map(piece).collect();
    let ty = TensorType::new(DType::F32, [n]);
    group.begin(7, Reduction { join: Join::Fold(Fold::Sum), shares, rows, ty, pieces }).unwrap();
    group.finish(7).unwrap().as_ref().clone()
}

fn reduce() {
    let group = start();
    for (rows, n) in [(100, 1), (100, 13), (8, 5), (5, 7), (1, 2), (64, 0), (64, 300_000)] {
        let expected = sum(&Local::groups(1)[0], rows, n);
        assert_eq!(sum(&group, rows, n), expected, "rank {}, {rows} rows, {n} elements", group.rank());
    }
    say("reduced");
}

fn alone() {
    assert!(!ironlearn_mpi::is_launched());
    let group = ironlearn_mpi::start().unwrap();
    assert_eq!((group.rank(), group.count()), (0, 1));
    assert_eq!(group.gather(vec![7]).unwrap(), [[7]]);
    assert!(ironlearn_mpi::start().unwrap_err().contains("only once"));
    say("alone");
}

/// One computes while the others wait for it; then it is done long before them.
fn slow() {
    let group = start();
    if group.rank() == 1 {
        std::thread::sleep(SLOW);
    }
    group.gather(vec![1]).unwrap();
    if group.rank() == 0 {
        std::thread::sleep(SLOW);
    }
}

/// Nobody exchanges.
fn compute() {
    let _group = start();
    std::thread::sleep(FOREVER);
}

/// Rank 1 computes, the others wait for it.
fn wait() {
    let group = start();
    if group.rank() == 1 {
        std::thread::sleep(FOREVER);
    }
    let _ = group.gather(vec![1; 100]);
}

/// Large messages without end.
fn transfer() {
    let group = start();
    loop {
        group.gather(vec![1; 30 << 20]).unwrap();
    }
}

/// Rank 1 has an error, and ends as the documentation of the crate says.
fn fail() {
    let group = start();
    group.gather(Vec::new()).unwrap();
    if group.rank() == 1 {
        eprintln!("error: rank 1 has no more disk");
        std::process::exit(5);
    }
    let _ = group.gather(vec![1; 100]);
    std::thread::sleep(FOREVER);
}

/// The same, after its group is dropped.
fn fail_late() {
    let group = start();
    if group.rank() == 1 {
        drop(group);
        eprintln!("error: rank 1 has no more disk");
        std::process::exit(5);
    }
    std::thread::sleep(Duration::from_secs(2));
    let _ = group.gather(vec![1; 100]);
    std::thread::sleep(FOREVER);
}

/// Rank 1 leaves the others, and does not end.
fn leave() {
    let group = start();
    if group.rank() == 1 {
        drop(group);
    } else {
        let _ = group.gather(vec![1; 100]);
    }
    std::thread::sleep(FOREVER);
}

/// Twenty seconds of steps.
fn beat() {
    let group = start();
    for i in 0..20 {
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(group.gather(vec![i]).unwrap(), vec![[i]; group.count()]);
    }
}
