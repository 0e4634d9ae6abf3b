//! [`Sums`]: the sums of leaves, added up along their tree as they are done.
//!
//! Of two neighbours in the tree the one that is done later adds both up, and goes on with the result. So what is added
//! up is still in the cache, and of a tree of sixteen leaves one thread needs five rooms: the gradients of a network are
//! larger than many a cache. The tree decides what is added to what, never the threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rooms for the sums of leaves, and which of them are there.
pub struct Sums {
    leaves: usize,
    rooms: usize,
    state: Mutex<State>,
}

struct State {
    /// Rooms that nobody uses, the one last used at the end.
    free: Vec<usize>,
    /// The rooms of results that wait for their neighbours: node 1 is the root, 2n and 2n + 1 are below n.
    waiting: Vec<Option<usize>>,
}

/// Two results to add up.
#[derive(Clone, Copy)]
pub struct Pair {
    /// The room of the earlier rows, where their sum belongs unless it is the last.
    pub left: usize,
    /// The room of the later rows.
    pub right: usize,
    /// The sum is that of all leaves.
    pub is_last: bool,
}

impl Sums {
    /// For a tree of `leaves`, a power of two, that threads take in order.
    pub fn new(leaves: usize, threads: usize) -> Result<Sums, String> {
        if leaves < 2 || !leaves.is_power_of_two() {
            return Err(format!("a sum over {leaves} leaves"));
        }
        // A result waits only for a neighbour above a leaf that some thread has, or above the next leaf.
        let depth = leaves.ilog2() as usize;
        let rooms = if threads == 1 { depth + 1 } else { leaves.min((threads + 1) * depth + threads) };
        let state = State { free: Vec::with_capacity(rooms), waiting: vec![None; 2 * leaves] };
        Ok(Sums { leaves, rooms, state: Mutex::new(state) })
    }

    /// The number of rooms.
    pub fn rooms(&self) -> usize {
        self.rooms
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties all rooms.
    pub fn begin(&self) {
        let mut state = self.state();
        state.free.clear();
        state.free.extend((0..self.rooms).rev());
        state.waiting.fill(None);
    }

    /// A room for a leaf; `None` where there is none left, which says that leaves are not taken in order.
    pub fn take(&self) -> Option<usize> {
        self.state().free.pop()
    }

    /// The sums of a leaf are done: `add` adds up what can be.
    pub fn done(&self, leaf: usize, mut room: usize, mut add: impl FnMut(Pair)) {
        let mut node = self.leaves + leaf;
        while node > 1 {
            let mut state = self.state();
            let Some(neighbour) = state.waiting[node ^ 1].take() else {
                state.waiting[node] = Some(room);
                return;
            };
            drop(state);
            let (left, right) = if node.is_multiple_of(2) { (room, neighbour) } else { (neighbour, room) };
            node /= 2;
            add(Pair { left, right, is_last: node == 1 });
            self.state().free.push(right);
            room = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is added up when leaves are done in an order, `threads` of them under way at a time.
    fn added(leaves: usize, threads: usize, mut choose: impl FnMut(usize) -> usize) -> String {
        let sums = Sums::new(leaves, threads).unwrap();
        sums.begin();
        let mut rooms = vec![String::new(); sums.rooms()];
        let mut last = None;
        let mut under_way: Vec<(usize, usize)> = Vec::new();
        let mut next = 0;
        while next < leaves || !under_way.is_empty() {
            while next < leaves && under_way.len() < threads {
                let room = sums.take().expect("a room");
                rooms[room] = next.to_string();
                under_way.push((next, room));
                next += 1;
            }
            let (leaf, room) = under_way.remove(choose(under_way.len()));
            sums.done(leaf, room, |Pair { left, right, is_last }| {
                rooms[left] = format!("({} {})", rooms[left], rooms[right]);
                if is_last {
                    last = Some(rooms[left].clone());
                }
            });
        }
        last.expect("a last sum")
    }

    #[test]
    fn the_tree_decides_and_not_the_order() {
        let expected = "(((0 1) (2 3)) ((4 5) (6 7)))";
        assert_eq!(added(8, 1, |_| 0), expected);
        for threads in 2..9 {
            for seed in 0..200usize {
                let mut state = seed;
                let random = |n: usize| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) % n
                };
                assert_eq!(added(8, threads, random), expected, "{threads} threads");
            }
            // One thread is slow.
            assert_eq!(added(8, threads, |n| n - 1), expected, "{threads} threads");
        }
        for threads in 1..20 {
            let of_16 = added(16, threads, |n| n - 1);
            assert_eq!(of_16, added(16, 1, |_| 0), "{threads} threads");
        }
    }

    #[test]
    fn one_thread_needs_one_room_for_each_level() {
        assert_eq!(Sums::new(16, 1).unwrap().rooms(), 5);
        assert_eq!(Sums::new(16, 2).unwrap().rooms(), 14);
        assert_eq!(Sums::new(16, 64).unwrap().rooms(), 16);
    }

    #[test]
    fn a_tree_has_a_power_of_two_of_leaves() {
        assert!(Sums::new(1, 1).is_err());
        assert!(Sums::new(12, 1).is_err());
    }
}
