//! How much memory there is, so that what cannot fit is refused before it is begun.

use crate::Error;
use std::fs::read_to_string;

/// The environment variable with the most bytes that steps may plan for, such as `512MiB`, where that is less than
/// what the machine has free.
pub const LIMIT_VARIABLE: &str = "IRONLEARN_MEMORY";

/// Memory of the machine in bytes, where the system tells it.
pub fn total() -> Option<u64> {
    kibibytes("MemTotal")
}

/// Memory that is free, in bytes, where the system tells it.
pub fn free() -> Option<u64> {
    kibibytes("MemAvailable")
}

/// Memory that this process may use, in bytes, where its control group sets a limit.
pub fn limit() -> Option<u64> {
    read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

/// What steps may plan for: the least of what is free, what the control group leaves, and [`LIMIT_VARIABLE`]. `None`
/// where nothing is known.
///
/// # Errors
/// [`Error::Usage`] where the variable holds no size.
pub fn available() -> Result<Option<u64>, Error> {
    let used = || read_to_string("/sys/fs/cgroup/memory.current").ok()?.trim().parse::<u64>().ok();
    let left = limit().map(|limit| limit.saturating_sub(used().unwrap_or(0)));
    let asked = match std::env::var(LIMIT_VARIABLE) {
        Err(_) => None,
        Ok(text) => Some(parse(&text).ok_or_else(|| {
            Error::usage(
                format!("{LIMIT_VARIABLE}={text} is no size"),
                "write bytes, KiB, MiB or GiB: 1500000, 512MiB, 8GiB",
            )
        })?),
    };
    Ok([free(), left, asked].into_iter().flatten().min())
}

/// An error where more is needed than is [`available`].
pub(crate) fn check(bytes: u64, what: impl FnOnce() -> String) -> Result<(), Error> {
    match available()? {
        Some(available) if bytes > available => Err(Error::Memory {
            what: format!("{}, and {} may be used", what(), shown(available)),
            bytes,
            hint: String::new(),
        }),
        _ => Ok(()),
    }
}

/// A size for people, such as `1.5 GiB`.
pub(crate) fn shown(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = units.into_iter().find(|(unit, _)| bytes >= *unit);
    fits.map_or(format!("{bytes} bytes"), |(unit, name)| format!("{:.1} {name}", bytes as f64 / unit as f64))
}

fn parse(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn kibibytes(key: &str) -> Option<u64> {
    let text = read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        assert_eq!(parse("512MiB"), Some(512 << 20));
        assert_eq!(parse("8 GiB"), Some(8 << 30));
        assert_eq!(parse("1500000"), Some(1_500_000));
        for wrong in ["", "MiB", "-1", "1.5GiB", "99999999999GiB", "5 parsecs"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(shown(3 << 29), "1.5 GiB");
        assert_eq!(shown(1000), "1000 bytes");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_its_memory() {
        let (total, free) = (total().unwrap_or(0), free().unwrap_or(u64::MAX));
        assert!(total >= free && free > 0);
    }
}
