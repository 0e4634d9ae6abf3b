//! [`Metrics`]: what the server counts, and the text that Prometheus reads.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Statuses that are counted apart; 0 stands for any other.
const STATUSES: [u16; 13] = [200, 400, 404, 405, 408, 413, 415, 422, 431, 500, 503, 504, 0];

/// Upper ends of the buckets, in seconds.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper ends of the buckets, in rows.
const ROWS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

/// Counters of a server.
pub struct Metrics {
    requests: [AtomicU64; STATUSES.len()],
    /// Rows that were answered.
    pub rows: AtomicU64,
    /// Requests to infer by their time from the first byte to the answer.
    latency: Histogram,
    /// Batches by their rows.
    pub batches: Histogram,
}

impl Metrics {
    pub fn new() -> Metrics {
        Metrics {
            requests: Default::default(),
            rows: AtomicU64::new(0),
            latency: Histogram::new(SECONDS),
            batches: Histogram::new(ROWS),
        }
    }

    /// Counts a request; its time where it was one to infer.
    pub fn request(&self, status: u16, time: Option<Duration>) {
        let place = STATUSES.iter().position(|&other| other == status).unwrap_or(STATUSES.len() - 1);
        self.requests[place].fetch_add(1, Ordering::Relaxed);
        if let Some(time) = time {
            self.latency.add(time.as_secs_f64());
        }
    }

    /// The text format of Prometheus, version 0.0.4, with what is so at the moment: name, help and value of each.
    pub fn text(&self, now: &[(&str, &str, usize)]) -> String {
        let mut text = String::new();
        let head = |text: &mut String, name: &str, kind: &str, help: &str| {
            let _ = write!(text, "# HELP ironlearn_{name} {help}\n# TYPE ironlearn_{name} {kind}\n");
        };
        head(&mut text, "requests_total", "counter", "Requests by the status of their answer.");
        for (status, count) in STATUSES.iter().zip(&self.requests) {
            let (status, count) = (status.to_string(), count.load(Ordering::Relaxed));
            let status = if status == "0" { "other" } else { &status };
            let _ = writeln!(text, "ironlearn_requests_total{{status=\"{status}\"}} {count}");
        }
        head(&mut text, "rows_total", "counter", "Rows that were answered.");
        let _ = writeln!(text, "ironlearn_rows_total {}", self.rows.load(Ordering::Relaxed));
        head(&mut text, "infer_seconds", "histogram", "Time of requests to infer, refused ones included.");
        self.latency.write("infer_seconds", &mut text);
        head(&mut text, "batch_rows", "histogram", "Rows of the batches that were computed.");
        self.batches.write("batch_rows", &mut text);
        for (name, help, value) in now {
            head(&mut text, name, "gauge", help);
            let _ = writeln!(text, "ironlearn_{name} {value}");
        }
        text
    }
}

/// How many values are in each bucket.
pub struct Histogram {
    ends: &'static [f64],
    /// One more than there are ends.
    counts: Vec<AtomicU64>,
    /// The sum of all values, in millionths.
    sum: AtomicU64,
}

impl Histogram {
    fn new(ends: &'static [f64]) -> Histogram {
        let counts = (0..=ends.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { ends, counts, sum: AtomicU64::new(0) }
    }

    pub fn add(&self, value: f64) {
        let place = self.ends.iter().position(|&end| value <= end).unwrap_or(self.ends.len());
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add((1e6 * value).round() as u64, Ordering::Relaxed);
    }

    /// Buckets count all values up to their end.
    fn write(&self, name: &str, text: &mut String) {
        let ends = self.ends.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let mut count = 0;
        for (end, own) in ends.zip(&self.counts) {
            count += own.load(Ordering::Relaxed);
            let _ = writeln!(text, "ironlearn_{name}_bucket{{le=\"{end}\"}} {count}");
        }
        let sum = self.sum.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(text, "ironlearn_{name}_sum {sum}\nironlearn_{name}_count {count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_and_every_family_has_its_type() {
        let metrics = Metrics::new();
        metrics.request(200, Some(Duration::from_millis(1)));
        metrics.request(200, Some(Duration::from_millis(30)));
        metrics.request(503, None);
        metrics.request(418, None);
        metrics.batches.add(3.0);
        metrics.batches.add(9999.0);
        let text = metrics.text(&[("queue_rows", "Rows that wait.", 7)]);
        for line in [
            "# TYPE ironlearn_requests_total counter",
            "ironlearn_requests_total{status=\"200\"} 2",
            "ironlearn_requests_total{status=\"503\"} 1",
            "ironlearn_requests_total{status=\"other\"} 1",
            "# TYPE ironlearn_infer_seconds histogram",
            "ironlearn_infer_seconds_bucket{le=\"0.0005\"} 0",
            "ironlearn_infer_seconds_bucket{le=\"0.001\"} 1",
            "ironlearn_infer_seconds_bucket{le=\"0.05\"} 2",
            "ironlearn_infer_seconds_bucket{le=\"+Inf\"} 2",
            "ironlearn_infer_seconds_sum 0.031",
            "ironlearn_batch_rows_bucket{le=\"4096\"} 1",
            "ironlearn_batch_rows_count 2",
            "# HELP ironlearn_queue_rows Rows that wait.",
            "ironlearn_queue_rows 7",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
