//! [`Hearing`]: when another rank has been silent for too long.

use std::time::{Duration, Instant};

/// A rank that is silent for longer is lost: all have ended within ten seconds.
pub(crate) const SILENCE: Duration = Duration::from_secs(6);

/// A rank that has not listened for longer was stopped itself, or its host was: that it has heard nobody says nothing of
/// the others.
const ABSENCE: Duration = Duration::from_secs(2);

/// What one rank has heard of another.
pub(crate) struct Hearing {
    listened: Instant,
    heard: Instant,
}

impl Hearing {
    pub(crate) fn new(now: Instant) -> Hearing {
        Hearing { listened: now, heard: now }
    }

    /// After it has listened, and heard the other one or not. Gives how long that one has been silent, where that is too
    /// long.
    pub(crate) fn listen(&mut self, now: Instant, has_heard: bool) -> Option<Duration> {
        if has_heard || now.duration_since(self.listened) > ABSENCE {
            self.heard = now;
        }
        self.listened = now;
        Some(now.duration_since(self.heard)).filter(|silent| *silent > SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first time of silence, in ms, of one who listens at these times, and hears at those that are marked.
    fn silence(times: impl IntoIterator<Item = (u64, bool)>) -> Option<u64> {
        let begin = Instant::now();
        let mut hearing = Hearing::new(begin);
        let mut listen = |(ms, heard)| hearing.listen(begin + Duration::from_millis(ms), heard).map(|_| ms);
        times.into_iter().find_map(&mut listen)
    }

    #[test]
    fn who_is_silent_is_lost() {
        let every = |ms: usize| (0..60_000).step_by(ms);
        assert_eq!(silence(every(250).map(|t| (t, true))), None);
        assert_eq!(silence(every(250).map(|t| (t, false))), Some(6250));
        assert_eq!(silence(every(250).map(|t| (t, t == 5000))), Some(11_250));
        assert_eq!(silence(every(1900).map(|t| (t, false))), Some(7600), "one who is often away listens too");
    }

    #[test]
    fn who_was_away_accuses_nobody_of_it() {
        let away = |from: u64, to: u64| (0..60_000).step_by(250).filter(move |t| *t < from || *t >= to);
        assert_eq!(silence(away(1000, 20_000).map(|t| (t, t < 1000))), Some(26_250));
        assert_eq!(silence(away(7000, 20_000).map(|t| (t, t > 21_000))), None);
    }
}
