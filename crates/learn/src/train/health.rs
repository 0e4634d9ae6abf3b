//! Layers that have stopped to learn: relu units that are 0 for every row, tanh and sigmoid at their ends.

use super::model::Model;
use crate::data::batch_of;
use crate::{Dataset, Error, Infer, Options, Outputs};
use ironlearn_ir::prim::elementwise::Abs;
use ironlearn_ir::{Array, DType, Dyn, Real, Tape};

/// Rows that are looked at; with fewer than [`FEWEST`] a unit may well be 0 by chance.
const ROWS: usize = 256;
const FEWEST: usize = 32;

/// Share of a layer's units that are dead, or of its values that are saturated, from which on it is told.
const MUCH: f64 = 0.9;

/// Looks at the activations of a model for some rows of the data.
pub(super) struct Health {
    infer: Infer,
    x: Array,
    y: Array,
}

impl Health {
    /// Of a model with activations that can die or saturate; none where it has none, or there are few rows.
    #[track_caller]
    pub fn build<T: Real>(
        options: &Options,
        model: &impl Model<T>,
        data: &Dataset,
    ) -> Result<Option<Health>, Error> {
        let types = data.types(data.rows().min(ROWS));
        if data.rows() < FEWEST {
            return Ok(None);
        }
        let infer = Infer::build_all(options, model.scope(), &[vec![types[0].clone()]], |tape, v| {
            let predicted = model.predict(v[0]).node();
            shares(tape, predicted)
        })?;
        if infer.names().is_empty() {
            return Ok(None);
        }
        let [x, y] = batch_of(&types)?;
        Ok(Some(Health { infer, x, y }))
    }

    /// What is to be told of the layers, a text each.
    pub fn look(&mut self, data: &Dataset) -> Result<Vec<String>, Error> {
        data.read(0, &mut self.x, &mut self.y)?;
        let report = self.infer.run(&(&self.x,))?;
        let share = |text: &String| {
            report.scalar(text).filter(|&share| share >= MUCH).map(|share| (text.clone(), share))
        };
        let told = report.names().iter().filter_map(share);
        Ok(told.map(|(text, share)| format!("{:.0} % of {text}", share * 100.0)).collect())
    }
}

/// The share of each activation that is dead or saturated. The prediction itself may end in a sigmoid that is sure
/// of itself, and so may a gate.
fn shares<'g>(tape: &'g Tape, predicted: Dyn<'g>) -> Outputs<'g> {
    let (mut outputs, mut texts) = (Outputs::default(), Vec::new());
    for made in tape.made_by(&["maximum", "tanh", "sigmoid"], predicted) {
        let (y, place) = (made.value, made.place);
        let gate = made.operation == "sigmoid" && made.users.contains(&"mul");
        if y.id() == predicted.id() || gate || !y.dtype().is_float() || y.rank() < 2 {
            continue;
        }
        let (text, bad) = match made.operation {
            "maximum" => {
                let largest = y.max(&[0]);
                (
                    format!("the units of {place} are 0 for every row: relu passes on no gradient there"),
                    largest.equal(largest.filled(0.0)),
                )
            }
            "tanh" => (
                format!(
                    "the values of {place} are within 0.01 of tanh's ends, where its gradient is almost 0"
                ),
                y.filled(0.99).less(y.unary::<Abs>()),
            ),
            _ => (
                format!(
                    "the values of {place} are within 0.005 of sigmoid's ends, where its gradient is almost 0"
                ),
                y.filled(0.495).less((y - 0.5).unary::<Abs>()),
            ),
        };
        let axes: Vec<usize> = (0..bad.rank()).collect();
        let share = bad.cast(DType::F64).sum(&axes) * (1.0 / bad.shape().elements().max(1) as f64);
        if !texts.contains(&text) {
            outputs = outputs.and(&text, share);
            texts.push(text);
        }
    }
    outputs
}
