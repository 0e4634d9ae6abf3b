//! Draws a network: layers over what there is already, then losses or answers.

use super::Size;
use crate::rng::Rng;
use ironlearn_ir::{Array, Role, SlotId, Store, Tape, Var, concat};

/// A network that is drawn layer by layer.
pub(super) struct Draw<'g, 'r> {
    tape: &'g Tape,
    pub rng: &'r mut Rng,
    size: Size,
    rows: usize,
    pub store: Store,
    pub inputs: Vec<Array>,
    parameters: Vec<Var<'g, f32>>,
    weights: Vec<Var<'g, f32>>,
    /// What there is of every row, `[rows, width]`; the first is the input.
    values: Vec<Var<'g, f32>>,
    /// Ones and zeros, `[rows, 1]`.
    mask: Var<'g, f32>,
    labels: Var<'g, i32>,
    pub text: String,
}

/// The number of labels.
const LABELS: usize = 5;

impl<'g, 'r> Draw<'g, 'r> {
    pub fn new(tape: &'g Tape, rng: &'r mut Rng, size: Size) -> Self {
        let (rows, width) = (size.rows(rng), size.inputs(rng));
        let mut inputs = Vec::new();
        let x = if rng.one_in(4) {
            // Rows of data that stay where they are.
            let all = 300 + rng.below(700);
            let places = (0..rows).map(|_| rng.below(all) as u32).collect();
            inputs.push(Array::of([rows], places).expect("one for each row"));
            let data = floats(rng, &[all, width], 1.0);
            let places = tape.input::<u32>([rows]);
            Var::<f32>::of(tape.constant_of(data)).gather(places, 0)
        } else {
            inputs.push(floats(rng, &[rows, width], 1.0));
            tape.input::<f32>([rows, width])
        };
        let labels = tape.input::<i32>([rows]);
        let of_labels = (0..rows).map(|_| rng.below(LABELS) as i32).collect();
        inputs.push(Array::of([rows], of_labels).expect("one for each row"));
        let mask = tape.input::<f32>([rows, 1]);
        let of_mask = (0..rows).map(|_| rng.below(2) as f32).collect();
        inputs.push(Array::of([rows, 1], of_mask).expect("one for each row"));
        let text = format!("{rows} rows of {width}\n");
        let (store, parameters, weights, values) = (Store::new(), vec![], vec![], vec![x]);
        Draw { tape, rng, size, rows, store, inputs, parameters, weights, values, mask, labels, text }
    }

    fn parameter(&mut self, shape: &[usize], scale: f64) -> Var<'g, f32> {
        let value = floats(self.rng, shape, scale);
        let name = format!("p{}", self.parameters.len());
        let slot: SlotId = self.store.add(&name, Role::Parameter, value).expect("a new name");
        let parameter = Var::<f32>::of(self.tape.slot(slot, self.store.ty(slot)));
        self.parameters.push(parameter);
        parameter
    }

    /// Draws one more value.
    pub fn layer(&mut self) {
        let last = self.values.len() - 1;
        let at = if self.rng.one_in(3) { self.rng.below(self.values.len()) } else { last };
        let (name, next) = self.next(self.values[at]);
        if next.dim(1) <= self.size.widest() {
            self.text += &format!("v{} = {name} of v{at}: {}\n", self.values.len(), next.dim(1));
            self.values.push(next);
        }
    }

    fn next(&mut self, z: Var<'g, f32>) -> (&'static str, Var<'g, f32>) {
        let (rows, width) = (self.rows, z.dim(1));
        let along = |x: Var<'g, f32>| x.broadcast_to([rows, width]);
        match self.rng.below(32) {
            0..=8 => ("a layer", self.linear(z)),
            9 => ("softmax", z.softmax(1)),
            10 => ("rows normalised", normalised(z, 1)),
            11 => ("columns normalised", normalised(z, 0)),
            12 => ("both, with another", concat(self.tape, &[z, self.rng.pick(&self.values)], 1)),
            13 => ("some columns", {
                let from = self.rng.below(width);
                z.narrow(1, from, from + 1 + self.rng.below(width - from))
            }),
            14 => ("columns turned", z.flip([1])),
            15 => ("rows turned", z.flip([0])),
            16 => (
                "the product with another",
                match self.values.iter().rev().find(|v| v.dim(1) == width) {
                    Some(&other) => z * other + other,
                    None => z.square(),
                },
            ),
            17 => ("heads", self.heads(z)),
            18 => ("dropout", {
                let keep = self.tape.random_bits([rows, width]).less(3_000_000_000u32);
                keep.select(z * 1.4, 0.0)
            }),
            19 => ("scaled rows", z * along(z.sum_keep([1]).sin()) + along(self.mask)),
            20 => ("an embedding beside", {
                let units = self.rng.pick(&[1, 3, 8, 33]);
                let table = self.parameter(&[LABELS, units], 1.0);
                concat(self.tape, &[z, table.gather(self.labels, 0)], 1)
            }),
            21 | 22 => ("rows one later", z.narrow(0, 1, rows).pad(0, 0, 1, 0.5)),
            23 | 24 => ("columns around", z.pad(1, 1, 2, 0.25)),
            25 | 26 => ("some rows", {
                let from = if self.rng.one_in(2) { 0 } else { self.rng.below(rows) };
                let to = from + 1 + self.rng.below(rows - from);
                z.narrow(0, from, to).sin().pad(0, from, rows - to, 0.5)
            }),
            27 if width <= 16 => ("correlations", z.dot(z.transpose().dot(z) * (1.0 / rows as f64))),
            28 => ("attention", self.attention(z)),
            29 => ("f64", (z.cast::<f64>() * 1.5).cast::<f32>()),
            // A product, and what is done to a part of it.
            _ => ("a part of a layer", {
                let z = self.product(z);
                let to = 1 + self.rng.below(rows);
                z.narrow(0, 0, to).tanh().pad(0, 0, rows - to, 0.5)
            }),
        }
    }

    /// By weights of its own, or of another layer.
    fn product(&mut self, z: Var<'g, f32>) -> Var<'g, f32> {
        let width = z.dim(1);
        let fits = |w: &&Var<'g, f32>| w.dim(0) == width || w.dim(1) == width;
        let shared = self.weights.iter().find(fits).copied().filter(|_| self.rng.one_in(2));
        match shared {
            Some(w) if w.dim(0) == width => z.dot(w),
            Some(w) => z.dot(w.transpose()),
            None => {
                let units = self.size.units(self.rng);
                let w = self.parameter(&[width, units], (3.0 / width as f64).sqrt());
                self.weights.push(w);
                z.dot(if self.rng.one_in(8) { w.stop_gradient() } else { w })
            }
        }
    }

    fn linear(&mut self, z: Var<'g, f32>) -> Var<'g, f32> {
        let y = self.product(z);
        let units = y.dim(1);
        let y = if self.rng.one_in(2) {
            y
        } else {
            y + self.parameter(&[1, units], 0.3).broadcast_to([self.rows, units])
        };
        match self.rng.below(8) {
            0 | 7 => y,
            1 => y.tanh(),
            2 => y.sin(),
            3 => y.silu(),
            4 => y.gelu(),
            5 => y.relu(),
            _ => y.sigmoid(),
        }
    }

    fn heads(&mut self, z: Var<'g, f32>) -> Var<'g, f32> {
        let (rows, width, heads) = (self.rows as isize, z.dim(1), self.rng.pick(&[1, 2, 3, 4]));
        if !width.is_multiple_of(heads) {
            return z.tanh();
        }
        let each = z.reshape([rows, heads as isize, (width / heads) as isize]);
        match self.rng.below(4) {
            0 => each.sum([1]),
            1 => each.softmax(2).permute([0, 2, 1]).reshape([rows, width as isize]),
            2 => each.max([2]),
            _ => each.dot(each.permute([0, 2, 1])).reshape([rows, (heads * heads) as isize]) * 0.1,
        }
    }

    /// Among groups of rows.
    fn attention(&mut self, z: Var<'g, f32>) -> Var<'g, f32> {
        let (rows, width, units) = (self.rows, z.dim(1), self.rng.pick(&[1, 3, 8, 16, 33]));
        let group = [8, 5, 4, 3, 2].into_iter().find(|g| rows.is_multiple_of(*g)).unwrap_or(1);
        let shape = [(rows / group) as isize, group as isize, units as isize];
        let [q, k, v] = [0, 1, 2].map(|_| {
            let w = self.parameter(&[width, units], (1.0 / width as f64).sqrt());
            z.dot(w).reshape(shape)
        });
        q.dot(k.permute([0, 2, 1])).softmax(2).dot(v).reshape([rows as isize, units as isize])
    }

    /// One loss or several, added up, and the gradients of all parameters; some values beside.
    pub fn losses(&mut self) {
        let rows = self.rows;
        let last = self.values[self.values.len() - 1];
        let w = self.parameter(&[last.dim(1), 3], 0.5);
        let mut loss = (last.dot(w) - 0.3).square().mean_all();
        if self.rng.one_in(2) {
            let z = self.rng.pick(&self.values);
            let w = self.parameter(&[z.dim(1), LABELS], 0.5);
            let of_mask = self.mask.broadcast_to([rows, LABELS]);
            loss = loss + (z.dot(w).log_softmax(1).square() * of_mask).mean_all() * 0.1;
        }
        let x = self.values[0];
        if self.rng.one_in(5) && x.dim(1) <= 16 {
            let slope = loss.grad(&[x])[0] * rows as f64;
            loss = loss + slope.square().sum_all() * (0.1 / rows as f64);
            self.text += "second derivatives\n";
        }
        self.tape.output("loss", loss.node());
        if self.rng.one_in(3) {
            self.tape.output("last", last.node());
        }
        if self.rng.one_in(4) {
            self.tape.output("sums", self.rng.pick(&self.values).square().sum([0]).node());
        }
        for (i, gradient) in loss.grad(&self.parameters).iter().enumerate() {
            self.tape.output(&format!("gradient of p{i}"), gradient.node());
        }
    }

    /// Values as outputs, some of them in part or turned.
    pub fn answers(&mut self) {
        for i in 0..1 + self.rng.below(3) {
            let last = self.values[self.values.len() - 1];
            let z = if i == 0 { last } else { self.rng.pick(&self.values) };
            let z = match self.rng.below(7) {
                0 => z.sum([0]),
                1 => z.transpose(),
                2 => z.softmax(1),
                3 => z.narrow(1, 0, 1),
                4 => z.pad(1, 1, 1, 0.25),
                _ => z,
            };
            self.tape.output(&format!("answer {i}"), z.node());
        }
    }
}

fn floats(rng: &mut Rng, shape: &[usize], scale: f64) -> Array {
    let values = rng.floats(shape.iter().product(), -scale, scale);
    Array::of(shape.to_vec(), values.iter().map(|&x| x as f32).collect()).expect("as many as that")
}

/// Mean 0 and about variance 1 along an axis.
fn normalised<'g>(z: Var<'g, f32>, axis: isize) -> Var<'g, f32> {
    let all = [z.dim(0), z.dim(1)];
    let centred = z - z.mean_keep([axis]).broadcast_to(all);
    centred / (centred.square().mean_keep([axis]) + 0.1).sqrt().broadcast_to(all)
}
