//! Which register of a tile program each value has.

use super::chain::Chains;
use super::tile::{Fill, Place};
use super::work::Work;
use ironlearn_ir::plan::Value;

/// A cache line, by which registers are set apart, so that they do not all begin in the same set of a cache.
pub const LINE: usize = 64;

/// Gives a register of `pitch` bytes to every value that has no place, free again after its last use. Values
/// that are filled once, or needed after the last instruction, keep theirs. Returns the bytes of all registers.
pub fn allocate(
    work: &[Work<'_>],
    fills: &[Fill],
    kept: &[Value],
    chains: &Chains,
    pitch: usize,
    places: &mut [Option<Place>],
) -> usize {
    let loads = fills.len();
    let mut last = vec![usize::MAX; places.len()];
    for (i, work) in work.iter().enumerate() {
        for &a in &work.args {
            // A chain goes on to the next block of its first operands after it has stored its last result.
            last[a as usize] = chains.end(i);
        }
    }
    let mut bytes = 0;
    let mut free: Vec<usize> = Vec::new();
    let mut take = |free: &mut Vec<usize>, needed: usize| {
        let new = bytes;
        free.pop().unwrap_or_else(|| {
            bytes += needed.next_multiple_of(LINE);
            new
        })
    };
    for (place, fill) in places.iter_mut().zip(fills).filter(|p| p.0.is_none()) {
        *place = Some(match fill {
            Fill::Periodic(_, period, size) => {
                Place::Periodic(take(&mut free, pitch + period * size), *period, *size)
            }
            _ => Place::Register(take(&mut free, pitch)),
        });
    }
    for (i, work) in work.iter().enumerate() {
        let value = work.value as usize;
        if places[value].is_none() && (!chains.contains(i) || chains.stored[i]) {
            places[value] = Some(Place::Register(take(&mut free, pitch)));
        }
        // Operands give their registers back only after the result has one: with element types of different
        // size a result must not lie over an operand.
        for a in (0..places.len()).filter(|&a| last[a] == i && !kept.contains(&(a as Value))) {
            let stays = a < loads && fills[a].stays();
            if let (Some(Place::Register(r)), false) = (places[a], stays) {
                free.push(r);
            }
        }
    }
    bytes
}
