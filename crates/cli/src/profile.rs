//! The table of `--profile`: where the time of the training steps went.

use crate::commands::bench::Limits;
use ironlearn::{Profile, StepProfile};

/// Characters of a row's operations and layers, at most.
const WIDTH: usize = 48;

/// A row for every step of the plans, those that took the most time first; then what more cores would bring. Of a GPU
/// no limits are known.
pub fn table(profile: &Profile, limits: Option<Limits>) -> String {
    let total = profile.seconds();
    let mut steps: Vec<&StepProfile> = profile.steps.iter().filter(|s| s.calls > 0).collect();
    steps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let mut text = format!(
        "{:>6} {:>10} {:>9} {:>9} {:>9} {:>8} {:>5} {:<8} operations [layers]\n",
        "share", "time ms", "us/call", "flop", "bytes", "GFLOP/s", "limit", "phase"
    );
    for step in steps {
        let share = if total > 0.0 { 100.0 * step.seconds / total } else { 0.0 };
        let each = step.seconds / step.calls as f64;
        let rate = if each > 0.0 { step.flops as f64 / each / 1e9 } else { 0.0 };
        text.push_str(&format!(
            "{share:>5.1}% {:>10.2} {:>9.2} {:>9} {:>9} {rate:>8.2} {:>5} {:<8} {}\n",
            step.seconds * 1e3,
            each * 1e6,
            with_unit(step.flops),
            with_unit(step.bytes),
            limits.map_or("-".into(), |limits| format!("{:.0}%", 100.0 * fraction(step, each, limits))),
            format!("{:?}", step.phase).to_lowercase(),
            what(step),
        ));
    }
    text.push_str(&format!(
        "total of {} operations: {:.3} s; arena of {} bytes\n",
        profile.steps.len(),
        total,
        with_unit(profile.arena_bytes as u64)
    ));
    let Some(limits) = limits else { return text };
    text.push_str(&format!(
        "limit: products of {:.0} GFLOP/s, memory of {:.1} GB/s, whichever is nearer\n",
        limits.flops_per_second / 1e9,
        limits.bytes_per_second / 1e9
    ));
    text + &prediction(profile, limits)
}

/// The part of the nearer limit that a step reached; above 1 where caches give more than memory.
fn fraction(step: &StepProfile, each: f64, limits: Limits) -> f64 {
    if each <= 0.0 {
        return 0.0;
    }
    let flops = step.flops as f64 / limits.flops_per_second;
    flops.max(step.bytes as f64 / limits.bytes_per_second) / each
}

/// What more cores would bring.
fn prediction(profile: &Profile, limits: Limits) -> String {
    let seconds =
        |cores| profile.steps.iter().map(|s| s.predicted(cores, limits.bytes_per_second)).sum::<f64>();
    let speed = |cores| {
        let predicted = seconds(cores);
        let times = if predicted > 0.0 { profile.seconds() / predicted } else { 1.0 };
        format!("{times:.2} with {cores}")
    };
    format!(
        "predicted (not measured) speed with other numbers of cores, from the work, the longest tasks and the traffic \
         of this run with {} threads: {}",
        limits.threads,
        [1, 2, 4, 8, 16, 32].map(speed).join(", ")
    )
}

fn what(step: &StepProfile) -> String {
    let operations = shortened(&step.operations.join(" "));
    if step.layers.is_empty() {
        operations
    } else {
        format!("{operations} [{}]", shortened(&step.layers.join(", ")))
    }
}

/// The beginning, where the text is too long for a table.
fn shortened(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_string();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

/// A count with three digits or more and k, M or G.
fn with_unit(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..10_000_000 => format!("{}k", (n + 500) / 1000),
        10_000_000..10_000_000_000 => format!("{}M", (n + 500_000) / 1_000_000),
        _ => format!("{}G", (n + 500_000_000) / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironlearn::{Phase, SharedWork};

    #[test]
    fn rows_come_in_the_order_of_their_time_with_rates_and_shares() {
        let step = |name, layer: &str, seconds, flops| StepProfile {
            operations: vec![name],
            layers: vec![layer.to_string()],
            phase: Phase::Forward,
            calls: 10,
            seconds,
            // Two threads; a task is an eighth of the work.
            shared: SharedWork { wall: seconds, work: 2.0 * seconds, longest: seconds / 4.0 },
            flops,
            bytes: 2_000_000,
        };
        let steps = vec![step("tanh", "0", 0.25, 1000), step("dot", "hidden", 0.75, 150_000_000)];
        let limits = Limits { threads: 2, flops_per_second: 4e9, bytes_per_second: 8e9 };
        let profile = Profile { steps, arena_bytes: 12_345 };
        let text = table(&profile, Some(limits));
        let rows: Vec<&str> = text.lines().collect();
        let words = |row: usize| rows[row].split_whitespace().collect::<Vec<_>>();
        assert_eq!(
            words(1),
            ["75.0%", "750.00", "75000.00", "150M", "2000k", "2.00", "50%", "forward", "dot", "[hidden]"]
        );
        assert_eq!(words(2)[0], "25.0%");
        // 2 MB at 8 GB/s are 250 of 25,000 us.
        assert_eq!(words(2)[6], "1%");
        assert_eq!(rows[3], "total of 2 operations: 1.000 s; arena of 12k bytes");
        assert_eq!(rows[4], "limit: products of 4 GFLOP/s, memory of 8.0 GB/s, whichever is nearer");
        let expected = "0.50 with 1, 1.00 with 2, 2.00 with 4, 4.00 with 8, 4.00 with 16, 4.00 with 32";
        assert!(rows[5].contains("not measured") && rows[5].contains(expected), "{}", rows[5]);
        let of_gpu = table(&profile, None);
        assert_eq!((of_gpu.lines().count(), of_gpu.matches(" - forward").count()), (4, 2), "{of_gpu}");
    }

    #[test]
    fn long_rows_are_cut() {
        assert_eq!(shortened("mul add"), "mul add");
        assert_eq!(shortened(&"mul ".repeat(99)).chars().count(), WIDTH);
    }
}
