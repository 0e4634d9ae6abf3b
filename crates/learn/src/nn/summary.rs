//! [`Summary`]: the table of a network's layers.

use ironlearn_ir::{Role, Shape, SlotId, Store};
use std::fmt;

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// Path, such as `2` or `3.0` within a container.
    pub path: String,
    /// Kind of layer.
    pub layer: &'static str,
    /// Shape of what comes out for one row of the batch.
    pub output: Shape,
    /// Trainable numbers.
    pub parameters: usize,
    /// Memory of all its state, running statistics included.
    pub bytes: usize,
    /// Multiplications with an addition for one row of the batch, in products and convolutions.
    pub multiply_adds: u64,
}

impl SummaryRow {
    /// A layer whose slots are those of the store from `slots` on.
    pub(super) fn new(
        path: &str,
        layer: &'static str,
        output: &[usize],
        store: &Store,
        slots: usize,
        multiply_adds: u64,
    ) -> SummaryRow {
        let own = || (slots as u32..store.len() as u32).map(SlotId);
        let parameters = own().filter(|&id| store.slot(id).role == Role::Parameter);
        SummaryRow {
            path: path.to_string(),
            layer,
            output: output.into(),
            parameters: parameters.map(|id| store.ty(id).shape.elements()).sum(),
            bytes: own().map(|id| store.ty(id).bytes()).sum(),
            multiply_adds,
        }
    }
}

/// The layers of a network and what they cost. Prints as a table.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Summary {
    /// Shape of one row of the input.
    pub input: Shape,
    /// The layers in the order in which data pass through them.
    pub rows: Vec<SummaryRow>,
}

impl Summary {
    /// Trainable numbers of all layers.
    pub fn parameters(&self) -> usize {
        self.rows.iter().map(|r| r.parameters).sum()
    }
    /// Memory of all state.
    pub fn bytes(&self) -> usize {
        self.rows.iter().map(|r| r.bytes).sum()
    }
    /// Multiplications with an addition for one row of the batch.
    pub fn multiply_adds(&self) -> u64 {
        self.rows.iter().map(|r| r.multiply_adds).sum()
    }
}

/// `98752` as `98,752`.
fn grouped(n: impl Into<u128>) -> String {
    let digits = n.into().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = |parameters: usize, bytes: usize, work: u64| {
            [grouped(parameters as u128), grouped(bytes as u128), grouped(work)]
        };
        let row = |first: String, output: String, [p, b, m]: [String; 3]| [first, output, p, b, m];
        let mut table = vec![["layer", "output", "parameters", "bytes", "multiply-adds"].map(String::from)];
        table.push(row("input".into(), self.input.to_string(), Default::default()));
        for r in &self.rows {
            let first = format!("{} {}", r.path, r.layer);
            table.push(row(first, r.output.to_string(), counts(r.parameters, r.bytes, r.multiply_adds)));
        }
        let total = counts(self.parameters(), self.bytes(), self.multiply_adds());
        table.push(row("total".into(), String::new(), total));
        let width = |column: usize| table.iter().map(|r| r[column].len()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        for (i, r) in table.iter().enumerate() {
            if i == table.len() - 1 {
                writeln!(f, "{}", "-".repeat(widths.iter().sum::<usize>() + 8))?;
            }
            let line = format!(
                "{:<a$}  {:<b$}  {:>c$}  {:>d$}  {:>e$}",
                r[0],
                r[1],
                r[2],
                r[3],
                r[4],
                a = widths[0],
                b = widths[1],
                c = widths[2],
                d = widths[3],
                e = widths[4]
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
