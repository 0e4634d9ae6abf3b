//! Random networks of the sizes that people have, with all gradients: layers, heads and losses over the rows of a batch.
//!
//! Random graphs (`random_graph`) have every operation and element type, and axes of a few elements; what an executor does
//! for larger ones, as joining products with what is done to their results, is seen by these.

mod draw;

use crate::compare::{bits, interpreted, norms};
use crate::rng::Rng;
use crate::tier;
use draw::Draw;
use ironlearn_ir::{Array, ArrayView, ControlBlock, Env, Graph, Mode, Program, Store, Tape};

/// How large a network is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// A batch of hundreds or thousands of rows, layers of up to 100.
    Narrow,
    /// Up to 200 rows, layers of up to 300.
    Few,
    /// Up to 17 rows of up to 5,000 numbers.
    Wide,
    /// Eight thousand rows and more, layers of up to 40.
    Many,
}

impl Size {
    /// All of them.
    pub const ALL: [Size; 4] = [Size::Narrow, Size::Few, Size::Wide, Size::Many];

    fn rows(self, rng: &mut Rng) -> usize {
        match self {
            Size::Narrow => rng.pick(&[256, 257, 300, 512, 513, 1000, 1024, 2048, 2049]),
            Size::Few => rng.pick(&[1, 2, 3, 7, 16, 24, 31, 33, 64, 65, 96, 128, 200]),
            Size::Wide => rng.pick(&[1, 1, 2, 3, 5, 17]),
            Size::Many => rng.pick(&[8192, 8200, 9001]),
        }
    }

    fn inputs(self, rng: &mut Rng) -> usize {
        match self {
            Size::Wide => rng.pick(&[1, 3, 1024, 4096, 4097, 5000]),
            _ => rng.pick(&[1, 2, 3, 5, 16, 33, 64]),
        }
    }

    fn units(self, rng: &mut Rng) -> usize {
        let small = [1, 2, 3, 7, 8, 9, 16, 17, 32, 40];
        match self {
            Size::Wide => rng.pick(&[1, 1, 2, 7, 8, 64, 1000, 2048]),
            Size::Few if rng.one_in(2) => rng.pick(&[64, 96, 129, 200, 256, 257, 300]),
            Size::Narrow if rng.one_in(2) => rng.pick(&[48, 64, 100]),
            _ => rng.pick(&small),
        }
    }

    fn widest(self) -> usize {
        if self == Size::Wide { 6000 } else { 300 }
    }
}

/// A network, what it is given, and what it must give.
pub struct RandomNetwork {
    /// What it does, layer by layer.
    pub text: String,
    /// The step.
    pub graph: Graph,
    /// Its parameters.
    pub store: Store,
    /// Its inputs.
    pub inputs: Vec<Array>,
    /// Of each output what the interpreter gives, and how far that is from what it gives for inputs and parameters that
    /// are 2e-7 of themselves off: in norm, as a part of the whole.
    pub expected: Vec<(Array, f64)>,
}

impl RandomNetwork {
    /// The network of a seed; where `trains`, with a loss and the gradients of all parameters.
    pub fn new(seed: u64, size: Size, trains: bool) -> RandomNetwork {
        let mut rng = Rng::new(seed);
        let tape = Tape::new(if trains { Mode::Train } else { Mode::Infer });
        let mut draw = Draw::new(&tape, &mut rng, size);
        let count = 6 + draw.rng.below(12);
        (0..count).for_each(|_| draw.layer());
        if trains {
            draw.losses()
        } else {
            draw.answers()
        }
        let Draw { store, inputs, text, .. } = draw;
        let graph = tape.finish().unwrap_or_else(|e| panic!("{e}\n{text}")).0;
        let results = |inputs: &[Array], store: &Store| {
            let env = Env::new(inputs.to_vec(), store, ControlBlock::default());
            interpreted(&graph, &env).unwrap_or_else(|e| panic!("{e}\n{text}"))
        };
        let right = results(&inputs, &store);
        let mut near = |a: &Array| match a.as_slice::<f32>() {
            None => a.clone(),
            Some(x) => {
                let off = x.iter().map(|x| x * (1.0 + 2e-7 * rng.float(-1.0, 1.0) as f32)).collect();
                Array::of(a.shape().to_vec(), off).expect("as many")
            }
        };
        let inputs_near: Vec<Array> = inputs.iter().map(&mut near).collect();
        let mut store_near = store.clone();
        for id in store.ids() {
            store_near.set(id, near(store.slot(id).value())).expect("a value of the same type");
        }
        let moved = results(&inputs_near, &store_near);
        let sensitive: Vec<f64> =
            right.iter().zip(&moved).map(|(right, moved)| distance(moved, right)).collect();
        RandomNetwork { text, expected: right.into_iter().zip(sensitive).collect(), graph, store, inputs }
    }

    /// Runs a program of the graph twice, which has to give the same bits. A distance from the interpreter is allowed, in norm
    /// as a part of the whole, and a hundred times what the network itself makes of the smallest change.
    ///
    /// # Errors
    /// Which output is off, or what the program failed with.
    pub fn agrees(&self, program: &mut dyn Program, allowed: f64) -> Result<(), String> {
        let views: Vec<ArrayView<'_>> = self.inputs.iter().map(Array::view).collect();
        let mut run = || {
            let mut store = self.store.clone();
            program.run(&views, &mut store, &ControlBlock::default()).map_err(|e| e.to_string())?;
            let outputs = (0..self.expected.len()).map(|i| program.output(i).to_array());
            Ok::<_, String>(outputs.collect::<Vec<_>>())
        };
        let (first, second) = (run()?, run()?);
        for (i, (right, sensitive)) in self.expected.iter().enumerate() {
            let name = &self.graph.outputs[i].0;
            if bits(first[i].view()) != bits(second[i].view()) {
                return Err(format!("`{name}` has other bits the second time"));
            }
            let off = distance(&first[i], right);
            let most = allowed.max(100.0 * sensitive);
            if off.is_nan() || off > most {
                return Err(format!("`{name}` is {off:.1e} off, {most:.1e} allowed"));
            }
        }
        Ok(())
    }
}

/// A norm below which a result is measured by it instead: of gradients that are sums of what cancels out, or 0, as those of
/// what softmax makes of one column, rounding is all or most.
const LEAST: f64 = 0.1;

/// How far apart two arrays are, in norm, as a part of the right one.
fn distance(found: &Array, right: &Array) -> f64 {
    let [off, norm] = norms(found, right);
    off / norm.max(LEAST)
}

/// Draws so many networks of each size, two of three with gradients, and checks that `check` finds nothing; `what` is said of
/// the figure.
///
/// # Panics
/// With what was found.
pub fn all_agree(what: &str, each: usize, check: impl Fn(&RandomNetwork) -> Result<(), String>) {
    let (each, mut failures) = (each as u64, Vec::new());
    let start = (tier::seed() - 1) * each;
    for size in Size::ALL {
        for seed in start..start + each {
            let network = RandomNetwork::new(seed, size, seed % 3 != 2);
            if let Err(error) = check(&network) {
                let failure = format!("{size:?}, seed {seed}: {error}\n{}", network.text);
                eprintln!("{failure}");
                failures.push(failure);
            }
        }
    }
    let count = each * Size::ALL.len() as u64;
    assert!(failures.is_empty(), "{} of {count} networks:\n{}", failures.len(), failures.join("\n"));
    tier::report(what, format!("{count} of {count} agree, two runs the same bits"));
}
