//! The values that options take.

use ironlearn::job::parse_duration;
use std::num::NonZeroUsize;
use std::time::Duration;

pub fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "not a duration: write for example 90s, 10m or 1h30m".into())
}

pub fn threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "not a number of threads: write 1 or more, or leave it out for one per core".into())
}

pub fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s| (0.0..=3600.0).contains(s));
    seconds.ok_or_else(|| "not a number of seconds from 0 to 3600".into())
}

pub fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=65_535).contains(side));
    text.split_once(['x', 'X'])
        .and_then(|(width, height)| Some([side(width)?, side(height)?]))
        .ok_or_else(|| "not a size: write width x height, for example 512x512".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("512x256"), Ok([512, 256]));
        for text in ["512", "0x5", "5x", "axb", "5x5x5", "70000x1", "-1x2"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
