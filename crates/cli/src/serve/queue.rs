//! [`Queue`]: rows that wait for their batch, no more of them than there may be.

use super::refusal::Refusal;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The rows of a request.
pub struct Work {
    pub rows: usize,
    /// `[rows, columns]`.
    pub raw: Vec<f64>,
    pub arrived: Instant,
    /// When nobody waits for the answer any more.
    pub deadline: Instant,
    /// Takes the answer `[rows, width]`.
    pub reply: oneshot::Sender<Result<Vec<f64>, Refusal>>,
}

impl Work {
    fn is_wanted(&self, now: Instant) -> bool {
        !self.reply.is_closed() && now < self.deadline
    }
}

/// Rows that wait. Requests come in from many threads; one takes them out.
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

#[derive(Default)]
struct State {
    works: VecDeque<Work>,
    rows: usize,
    closed: bool,
}

impl Queue {
    /// A queue for so many rows.
    pub fn new(most: usize) -> Queue {
        Queue { state: Mutex::default(), changed: Condvar::new(), most }
    }

    /// The most rows.
    pub fn most(&self) -> usize {
        self.most
    }

    /// How many wait.
    pub fn rows(&self) -> usize {
        self.lock().rows
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets rows wait; false where there is no room for them, or none is taken any more.
    pub fn push(&self, work: Work) -> bool {
        let mut state = self.lock();
        if state.closed || state.rows.saturating_add(work.rows) > self.most {
            return false;
        }
        state.rows += work.rows;
        state.works.push_back(work);
        self.changed.notify_one();
        true
    }

    /// Takes rows for a batch, in the order in which they came: as many requests as have `most` rows together, or
    /// one that has more. Waits for the first, and until the first has waited for `wait` unless the batch is full.
    /// None where the queue is closed and empty. Requests that nobody waits for are left out, so that it may be
    /// empty.
    pub fn take(&self, most: usize, wait: Duration) -> Option<Vec<Work>> {
        let mut state = self.lock();
        loop {
            let Some(first) = state.works.front() else {
                if state.closed {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = wait.saturating_sub(first.arrived.elapsed());
            if state.rows >= most || state.closed || left.is_zero() {
                break;
            }
            state =
                self.changed.wait_timeout(state, left).map_or_else(|e| e.into_inner().0, |(state, _)| state);
        }
        let now = Instant::now();
        let (mut taken, mut rows) = (Vec::new(), 0);
        while let Some(work) = state.works.pop_front() {
            let wanted = work.is_wanted(now);
            if wanted && !taken.is_empty() && rows + work.rows > most {
                state.works.push_front(work);
                break;
            }
            state.rows -= work.rows;
            if wanted {
                rows += work.rows;
                taken.push(work);
            }
        }
        Some(taken)
    }

    /// Takes no more rows; those that wait are still answered.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reply = oneshot::Receiver<Result<Vec<f64>, Refusal>>;

    fn work(rows: usize, seconds: u64) -> (Work, Reply) {
        let (reply, receiver) = oneshot::channel();
        let arrived = Instant::now();
        let deadline = arrived + Duration::from_secs(seconds);
        (Work { rows, raw: vec![0.0; rows], arrived, deadline, reply }, receiver)
    }

    fn taken(queue: &Queue, most: usize) -> Vec<usize> {
        queue.take(most, Duration::ZERO).unwrap().iter().map(|work| work.rows).collect()
    }

    #[test]
    fn batches_are_full_and_in_order() {
        let queue = Queue::new(20);
        let mut replies = Vec::new();
        for rows in [3, 2, 4, 9, 1] {
            let (work, reply) = work(rows, 60);
            assert!(queue.push(work));
            replies.push(reply);
        }
        let (more, _reply) = work(2, 60);
        assert!(!queue.push(more), "19 rows wait, 20 may");
        assert_eq!(taken(&queue, 5), [3, 2]);
        assert_eq!(taken(&queue, 5), [4]);
        assert_eq!(taken(&queue, 5), [9]);
        assert_eq!((taken(&queue, 5), queue.rows()), (vec![1], 0));
        queue.close();
        assert!(queue.take(5, Duration::ZERO).is_none());
        assert!(!queue.push(work(1, 60).0), "closed");
    }

    #[test]
    fn what_nobody_waits_for_is_left_out() {
        let queue = Queue::new(20);
        let (gone, reply) = work(3, 60);
        drop(reply);
        let (late, _late) = work(4, 0);
        let (wanted, _wanted) = work(2, 60);
        for work in [gone, late, wanted] {
            assert!(queue.push(work));
        }
        assert_eq!((taken(&queue, 4), queue.rows()), (vec![2], 0));
    }

    #[test]
    fn a_batch_waits_for_more_until_it_is_full() {
        let queue = Queue::new(20);
        let (first, _first) = work(1, 60);
        queue.push(first);
        let began = Instant::now();
        std::thread::scope(|scope| {
            let batch = scope.spawn(|| queue.take(3, Duration::from_secs(30)));
            std::thread::sleep(Duration::from_millis(20));
            let (second, _second) = work(2, 60);
            queue.push(second);
            assert_eq!(batch.join().unwrap().unwrap().len(), 2);
        });
        assert!(began.elapsed() < Duration::from_secs(20));
        let (alone, _alone) = work(1, 60);
        queue.push(alone);
        assert_eq!(queue.take(3, Duration::from_millis(10)).unwrap().len(), 1);
    }
}
