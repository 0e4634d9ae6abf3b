//! [`Group`]: a transport on a thread of its own, which reduces while others compute.

use super::{BEAT, Join, Ranks, Reduction, Transport, reduce};
use crate::interpreter::all_finite;
use crate::{Array, TensorType};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// A transport, and the thread that it lives on.
pub struct Group {
    rank: usize,
    count: usize,
    jobs: Mutex<Option<Sender<Job>>>,
    waiting: Mutex<HashMap<u32, Waiting>>,
    /// The last result of each key, and whether it is given again.
    last: Mutex<HashMap<u32, Last>>,
    again: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What has been begun, and where its result will come.
type Waiting = (Join, Receiver<Result<Array, String>>);

/// What is kept of a result.
enum Last {
    Value(Arc<Array>),
    /// Finite numbers that nothing is computed of ([`Join::AppendState`]): zeros will do, which flags among them are.
    Finite(TensorType),
}

impl Last {
    fn of(join: Join, result: &Arc<Array>) -> Last {
        match join {
            Join::AppendState if all_finite(result) => {
                Last::Finite(TensorType::new(result.dtype(), result.shape().clone()))
            }
            _ => Last::Value(result.clone()),
        }
    }

    fn again(&self) -> Arc<Array> {
        match self {
            Last::Value(array) => array.clone(),
            Last::Finite(ty) => Arc::new(Array::zeros(ty.dtype, ty.shape.clone())),
        }
    }
}

enum Job {
    Reduce(Reduction, Sender<Result<Array, String>>),
    Gather(Vec<u8>, Sender<Result<Vec<Vec<u8>>, String>>),
}

impl Group {
    /// Makes a transport on a new thread. Where another rank falls silent while this one computes, `lost` is called on that
    /// thread with its name; it is meant to end the process.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn start<T: Transport>(
        make: impl FnOnce() -> Result<T, String> + Send + 'static,
        lost: impl Fn(&str) + Send + 'static,
    ) -> Result<Group, String> {
        let (jobs, taken) = channel();
        let (ready, made) = channel();
        let work = move || match make() {
            Ok(mut transport) => {
                let _ = ready.send(Ok((transport.rank(), transport.count())));
                serve(&mut transport, &taken, &lost);
            }
            Err(problem) => drop(ready.send(Err(problem))),
        };
        let thread = thread::Builder::new().name("ranks".into()).spawn(work).map_err(|e| e.to_string())?;
        let (rank, count) = made.recv().map_err(|_| "the thread that talks to other ranks has ended")??;
        let (jobs, thread) = (Mutex::new(Some(jobs)), Mutex::new(Some(thread)));
        let (waiting, last, again) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Ok(Group { rank, count, jobs, waiting, last, again, thread })
    }

    fn send(&self, job: Job) -> Result<(), String> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or_else(ended)
    }
}

fn ended() -> String {
    "the connection to the other ranks has ended".into()
}

/// Does what it is asked to, in order, until nobody can ask any more.
fn serve(transport: &mut impl Transport, jobs: &Receiver<Job>, lost: &dyn Fn(&str)) {
    loop {
        match jobs.recv_timeout(BEAT) {
            Ok(Job::Reduce(reduction, to)) => {
                let _ = to.send(reduce(transport, reduction));
            }
            Ok(Job::Gather(mine, to)) => {
                let _ = to.send(transport.exchange(vec![mine; transport.count()]));
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Err(problem) = transport.idle() {
                    lost(&problem);
                    return;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Ranks for Group {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn begin(&self, key: u32, mine: Reduction) -> Result<(), String> {
        if self.again.load(Ordering::Relaxed) {
            return Ok(());
        }
        let ((to, result), join) = (channel(), mine.join);
        // The room of the last result is that of the next one.
        self.last.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        self.send(Job::Reduce(mine, to))?;
        // A rank that has no rows of a batch may have no use for the result of the last time.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (join, result));
        Ok(())
    }

    fn finish(&self, key: u32) -> Result<Arc<Array>, String> {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if self.again.load(Ordering::Relaxed) {
            return last().get(&key).map(Last::again).ok_or_else(|| format!("reduction {key} has no result"));
        }
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let (join, result) = waiting.ok_or_else(|| format!("reduction {key} was not begun"))?;
        let result = Arc::new(result.recv().map_err(|_| ended())??);
        last().insert(key, Last::of(join, &result));
        Ok(result)
    }

    fn replay(&self, again: bool) {
        self.again.store(again, Ordering::Relaxed);
    }

    fn gather(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, String> {
        let (to, result) = channel();
        self.send(Job::Gather(mine, to))?;
        result.recv().map_err(|_| ended())?
    }

    fn end(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.count)
    }
}
