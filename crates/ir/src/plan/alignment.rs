//! Where views begin, for machines that read several numbers at once from some addresses only.

use super::memory::ALIGN;
use super::{Home, Plan, ScanStep, StepKind, View};

impl Plan {
    /// Bytes that divide the address of a view's first element: a power of two, at most 64.
    pub fn alignment(&self, view: &View) -> usize {
        let buffer = self.buffer(view.buffer);
        let base = match buffer.home {
            Home::Input(i) => self.input_alignment.get(i as usize).copied().unwrap_or(ALIGN),
            _ => ALIGN,
        };
        common(base, view.offset * buffer.dtype.size())
    }

    /// Tells the loops of the plan where their inputs begin, and those the loops in them.
    pub(super) fn align_loops(&mut self) {
        let found: Vec<Option<Vec<usize>>> = self
            .steps
            .iter()
            .map(|step| match &step.kind {
                StepKind::Scan(scan) => Some(scan.alignments(self)),
                _ => None,
            })
            .collect();
        for (step, alignments) in self.steps.iter_mut().zip(found) {
            if let (StepKind::Scan(scan), Some(alignments)) = (&mut step.kind, alignments) {
                scan.body.input_alignment = alignments;
                scan.body.align_loops();
            }
        }
    }
}

impl ScanStep {
    /// What [`Plan::input_alignment`] is of the body. Carries are in the loop's results; elements of a sequence lie one
    /// behind the other.
    fn alignments(&self, plan: &Plan) -> Vec<usize> {
        let at = |(i, view): (usize, &View)| {
            if i < self.carries {
                return plan.alignment(&self.results[i]);
            }
            let bytes = if i < self.carries + self.xs {
                let elements: usize = view.dims.iter().skip(1).product();
                elements * plan.buffer(view.buffer).dtype.size()
            } else {
                0
            };
            common(plan.alignment(view), bytes)
        };
        self.inputs.iter().enumerate().map(at).collect()
    }
}

/// The largest power of two that divides a power of two and a number of bytes.
fn common(alignment: usize, bytes: usize) -> usize {
    if bytes == 0 { alignment } else { alignment.min(1 << bytes.trailing_zeros()) }
}
