//! Every layer, activation and loss against finite differences, for inputs and parameters, twice over.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod activations;
mod layers;
mod losses;

use ironlearn_testkit::gradcheck::{Case, Checked};
use ironlearn_testkit::rng::Rng;

/// Random shapes and options of each kind.
const SHAPES: u64 = 60;
/// Elements of each input that are moved.
const PROBES: usize = 6;

/// A kind without data for every variant of an enum. A variant that is not listed does not compile.
macro_rules! kinds {
    ($enum:ident: $($kind:ident),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Kind {
            $($kind),*
        }
        impl Kind {
            pub const ALL: &[Kind] = &[$(Kind::$kind),*];

            fn of(x: &$enum) -> Kind {
                match x {
                    $($enum::$kind { .. } => Kind::$kind),*
                }
            }
        }
    };
}
pub(crate) use kinds;

/// Checks many random cases, and that some derivative was not zero.
fn check(name: &str, make: impl Fn(&mut Rng) -> Case) {
    let mut seen = [Checked::default(); 2];
    for seed in 0..SHAPES {
        let case = make(&mut Rng::new(seed)).probes(PROBES);
        let fail = |e: String| -> [Checked; 2] { panic!("{name}, seed {seed}: {e}") };
        let [first, second] = case.check().unwrap_or_else(fail);
        seen = [seen[0].and(first), seen[1].and(second)];
    }
    let [first, second] = seen.map(|s| format!("{} within {:.1e}", s.compared, s.error));
    println!("{name}: first derivatives {first}, second {second}");
    assert!(
        seen[0].nonzero >= SHAPES as usize / 2 && seen[1].compared >= SHAPES as usize,
        "{name}: {seen:?}"
    );
}

/// Numbers in random order whose differences, and distances from 0 and 6, are at least 0.3: no function between
/// layers has a kink near them, and no maximum is near another.
fn apart(rng: &mut Rng, n: usize) -> Vec<f64> {
    rng.order(n).into_iter().map(|i| (i as f64 - (n / 2) as f64 + 0.5) * 0.6).collect()
}
