//! What one rank has found of a step that was not finite, for the others.

use ironlearn_ir::{Blame, Phase};
use serde::{Deserialize, Serialize};

/// A [`Blame`] on its way.
#[derive(Serialize, Deserialize)]
struct Told {
    operation: String,
    layer: String,
    location: String,
    phase: u8,
    step: i64,
    element: usize,
    rows: Vec<usize>,
    times: Vec<usize>,
    /// Bits, as JSON has no numbers that are not finite.
    ranges: Vec<(u64, u64)>,
}

const PHASES: [Phase; 3] = [Phase::Forward, Phase::Backward, Phase::Update];

/// What a rank tells: nothing where what it has found came from another one.
pub fn told(blame: Option<&Blame>) -> Vec<u8> {
    let Some(blame) = blame.filter(|blame| !blame.operation.starts_with("all_reduce")) else { return vec![] };
    let told = Told {
        operation: blame.operation.clone(),
        layer: blame.layer.clone(),
        location: blame.location.clone(),
        phase: PHASES.iter().position(|phase| *phase == blame.phase).unwrap_or(0) as u8,
        step: blame.step,
        element: blame.element,
        rows: blame.rows.clone(),
        times: blame.times.clone(),
        ranges: blame.ranges.iter().map(|(low, high)| (low.to_bits(), high.to_bits())).collect(),
    };
    serde_json::to_vec(&told).unwrap_or_default()
}

/// What a rank has told, if anything.
pub fn heard(bytes: &[u8]) -> Option<Blame> {
    let told: Told = serde_json::from_slice(bytes).ok()?;
    Some(Blame {
        operation: told.operation,
        layer: told.layer,
        location: told.location,
        phase: *PHASES.get(usize::from(told.phase))?,
        step: told.step,
        element: told.element,
        rows: told.rows,
        times: told.times,
        ranges: told
            .ranges
            .into_iter()
            .map(|(low, high)| (f64::from_bits(low), f64::from_bits(high)))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard() {
        let blame = Blame {
            operation: "log".into(),
            layer: "2".into(),
            location: "a.rs:1:2".into(),
            phase: Phase::Backward,
            step: 7,
            element: 3,
            rows: vec![1, 4],
            times: vec![2],
            ranges: vec![(f64::NAN, f64::INFINITY), (-1.0, 1e-300)],
        };
        let found = heard(&told(Some(&blame))).unwrap();
        // NaN is not equal to itself.
        assert_eq!(format!("{found:?}"), format!("{blame:?}"));
        let other = Blame { operation: "all_reduce_done".into(), ..blame };
        assert!(told(Some(&other)).is_empty() && told(None).is_empty() && heard(&[]).is_none());
    }
}
