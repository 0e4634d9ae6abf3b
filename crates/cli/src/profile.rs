//! The table of `--profile`: where the time of the training steps went.

use ironlearn::{Profile, StepProfile};

/// Characters of a row's operations and layers, at most.
const WIDTH: usize = 48;

/// A row for every step of the plans, those that took the most time first.
pub fn table(profile: &Profile) -> String {
    let total = profile.seconds();
    let mut steps: Vec<&StepProfile> = profile.steps.iter().filter(|s| s.calls > 0).collect();
    steps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let mut text = format!(
        "{:>6} {:>10} {:>9} {:>9} {:>9} {:>8} {:<8} operations [layers]\n",
        "share", "time ms", "us/call", "flop", "bytes", "GFLOP/s", "phase"
    );
    for step in steps {
        let share = if total > 0.0 { 100.0 * step.seconds / total } else { 0.0 };
        let each = step.seconds / step.calls as f64;
        let rate = if each > 0.0 { step.flops as f64 / each / 1e9 } else { 0.0 };
        text.push_str(&format!(
            "{share:>5.1}% {:>10.2} {:>9.2} {:>9} {:>9} {rate:>8.2} {:<8} {}\n",
            step.seconds * 1e3,
            each * 1e6,
            with_unit(step.flops),
            with_unit(step.bytes),
            format!("{:?}", step.phase).to_lowercase(),
            what(step),
        ));
    }
    text.push_str(&format!(
        "total of {} operations: {:.3} s; arena of {} bytes",
        profile.steps.len(),
        total,
        with_unit(profile.arena_bytes as u64)
    ));
    text
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
    use ironlearn::Phase;

    #[test]
    fn rows_come_in_the_order_of_their_time_with_rates_and_shares() {
        let step = |name, layer: &str, seconds, flops| StepProfile {
            operations: vec![name],
            layers: vec![layer.to_string()],
            phase: Phase::Forward,
            calls: 10,
            seconds,
            flops,
            bytes: 2_000_000,
        };
        let steps = vec![step("tanh", "0", 0.25, 1000), step("dot", "hidden", 0.75, 150_000_000)];
        let text = table(&Profile { steps, arena_bytes: 12_345 });
        let rows: Vec<&str> = text.lines().collect();
        let words = |row: usize| rows[row].split_whitespace().collect::<Vec<_>>();
        assert_eq!(
            words(1),
            ["75.0%", "750.00", "75000.00", "150M", "2000k", "2.00", "forward", "dot", "[hidden]"]
        );
        assert_eq!(words(2)[0], "25.0%");
        assert_eq!(rows[3], "total of 2 operations: 1.000 s; arena of 12k bytes");
    }

    #[test]
    fn long_rows_are_cut() {
        assert_eq!(shortened("mul add"), "mul add");
        assert_eq!(shortened(&"mul ".repeat(99)).chars().count(), WIDTH);
    }
}
