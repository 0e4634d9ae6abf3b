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

/// Milliseconds up to a minute.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    let milliseconds: Option<f64> = text.parse().ok().filter(|ms| (0.0..=60_000.0).contains(ms));
    let duration = milliseconds.map(|ms| Duration::from_secs_f64(ms / 1000.0));
    duration.ok_or_else(|| "not a number of milliseconds from 0 to 60000".into())
}

/// A number of bytes from 1 KiB to 1 GiB.
pub fn bytes(text: &str) -> Result<usize, String> {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];
    let found = units.iter().find_map(|(unit, factor)| {
        let number: usize = text.strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(*factor)
    });
    let fits = found.filter(|bytes| (1 << 10..=1 << 30).contains(bytes));
    fits.ok_or_else(|| "not a number of bytes from 1KiB to 1GiB: write for example 512KiB or 16MiB".into())
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

    #[test]
    fn bytes_and_milliseconds() {
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        assert_eq!(bytes("2 KiB"), Ok(2048));
        assert_eq!(bytes("5000"), Ok(5000));
        for text in ["", "MiB", "16MB", "-1KiB", "1.5MiB", "1023", "2GiB", "99999999999999999GiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(milliseconds("0"), Ok(Duration::ZERO));
        assert_eq!(milliseconds("2.5"), Ok(Duration::from_micros(2500)));
        for text in ["", "-1", "1s", "nan", "60001"] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
    }
}
