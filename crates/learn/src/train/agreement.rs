//! [`Agreement`]: what ranks that train together decide together.
//!
//! Steps and evaluations give the same numbers on all ranks. What depends on a clock, a signal or a file does not: here the
//! first rank's word, or that of any rank that wants to stop, becomes that of all.

use super::watch::Control;
use crate::Error;
use ironlearn_ir::ranks::Ranks;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two agreements on whether to go on, about.
const PAUSE: Duration = Duration::from_millis(20);
/// Most steps between them.
const MOST: u64 = 1000;

/// The ranks of a run, and what is to be agreed on.
pub(super) struct Agreement {
    ranks: Option<Arc<dyn Ranks>>,
    /// What this rank wants.
    wanted: Control,
    /// The step after which all are asked next.
    next: u64,
    /// The last agreement: when, and after which step.
    last: Option<(Instant, u64)>,
}

impl Agreement {
    pub fn of(ranks: Option<Arc<dyn Ranks>>) -> Agreement {
        Agreement { ranks, wanted: Control::Continue, next: 0, last: None }
    }

    /// Whether this process writes what is written.
    pub fn is_first(&self) -> bool {
        self.ranks.as_ref().is_none_or(|ranks| ranks.rank() == 0)
    }

    /// What all do after a step, where this rank wants `own`. They are asked after some steps only, and after the one
    /// that `limit` names.
    pub fn after_step(&mut self, step: u64, own: Control, limit: Option<u64>) -> Result<Control, Error> {
        if self.ranks.is_none() {
            return Ok(own);
        }
        self.wanted = self.wanted.max(own);
        if step < self.next {
            return Ok(Control::Continue);
        }
        let now = Instant::now();
        let pause = self.last.map_or(1, |(time, before)| {
            let steps = (step - before).max(1) as f64;
            (PAUSE.as_secs_f64() * steps / (now - time).as_secs_f64().max(1e-9)) as u64
        });
        let until = limit.map_or(MOST, |limit| limit.saturating_sub(step));
        let pause = pause.clamp(1, MOST).min(until.max(1));
        self.last = Some((now, step));
        let (control, said) = self.ask(pause)?;
        self.next = step + said;
        Ok(control)
    }

    /// What all do at another place, where this rank wants `own`.
    pub fn control(&mut self, own: Control) -> Result<Control, Error> {
        if self.ranks.is_none() {
            return Ok(own);
        }
        self.wanted = self.wanted.max(own);
        Ok(self.ask(0)?.0)
    }

    /// What is wanted most by any rank, and the first rank's number of steps until all are asked again.
    fn ask(&mut self, pause: u64) -> Result<(Control, u64), Error> {
        let mut mine = vec![self.wanted as u8];
        mine.extend(pause.to_le_bytes());
        self.wanted = Control::Continue;
        let all = self.gather(mine)?;
        let most = all.iter().filter_map(|said| said.first()).max().copied().unwrap_or(0);
        let control = match most {
            0 => Control::Continue,
            1 => Control::Save,
            _ => Control::Stop,
        };
        let said =
            all.first().and_then(|first| first.get(1..9)?.try_into().ok()).map_or(1, u64::from_le_bytes);
        Ok((control, said))
    }

    /// True where any rank wants it.
    pub fn is_wanted_by_any(&self, own: bool) -> Result<bool, Error> {
        let all = self.gather(vec![u8::from(own)])?;
        Ok(all.iter().any(|said| said[..] == [1]))
    }

    /// This rank's value; `None` where any rank has given up.
    pub fn unless_given_up<T>(&self, own: Option<T>) -> Result<Option<T>, Error> {
        if self.ranks.is_none() {
            return Ok(own);
        }
        let all = self.gather(vec![u8::from(own.is_some())])?;
        Ok(own.filter(|_| all.iter().all(|said| said[..] == [1])))
    }

    fn gather(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, Error> {
        match &self.ranks {
            None => Ok(vec![mine]),
            Some(ranks) => ranks.gather(mine).map_err(Error::device),
        }
    }
}
