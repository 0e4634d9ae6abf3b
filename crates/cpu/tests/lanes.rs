//! Every instruction set of this machine computes the bits of the scalar lanes.

use ironlearn_cpu::denormal::FlushDenormals;
use ironlearn_cpu::isa::{Isa, Kernel, Level};
use ironlearn_ir::lanes::FloatLanes;
use ironlearn_ir::math;

/// A formula over two operands, for any lanes of floats.
trait Formula {
    const NAME: &'static str;
    fn apply<L: FloatLanes>(x: L, y: L) -> L;
}

/// Evaluates a formula on all elements of slices whose length is a multiple of every width.
struct Sweep<'a, F> {
    operands: &'a Operands,
    formula: std::marker::PhantomData<F>,
}

struct Operands {
    f32: (Vec<f32>, Vec<f32>),
    f64: (Vec<f64>, Vec<f64>),
}

impl Operands {
    fn without_denormals(mut self) -> Operands {
        for x in self.f32.0.iter_mut().chain(&mut self.f32.1).filter(|x| x.is_subnormal()) {
            *x = 0.0;
        }
        for x in self.f64.0.iter_mut().chain(&mut self.f64.1).filter(|x| x.is_subnormal()) {
            *x = 0.0;
        }
        self
    }
}

impl<F: Formula> Kernel for Sweep<'_, F> {
    type Out = (Vec<f32>, Vec<f64>);
    #[inline(always)]
    fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) -> Self::Out {
        let (mut narrow, mut wide) =
            (vec![0.0; self.operands.f32.0.len()], vec![0.0; self.operands.f64.0.len()]);
        let (x, y) = &self.operands.f32;
        for i in (0..x.len()).step_by(F32::WIDTH) {
            F::apply(F32::load(&x[i..]), F32::load(&y[i..])).store(&mut narrow[i..]);
        }
        let (x, y) = &self.operands.f64;
        for i in (0..x.len()).step_by(F64::WIDTH) {
            F::apply(F64::load(&x[i..]), F64::load(&y[i..])).store(&mut wide[i..]);
        }
        (narrow, wide)
    }
}

/// Bits of a number; one pattern for all NaNs, whose payloads IEEE 754 leaves open.
fn bits(x: f64) -> u64 {
    if x.is_nan() { u64::MAX } else { x.to_bits() }
}

fn same_bits_everywhere<F: Formula>(operands: &Operands) {
    let sweep = || Sweep::<F> { operands, formula: std::marker::PhantomData };
    let expected = Isa::SCALAR.run(sweep());
    for isa in Isa::available() {
        let found = isa.run(sweep());
        let (x, y) = &operands.f32;
        for (i, (a, b)) in expected.0.iter().zip(&found.0).enumerate() {
            let same = bits((*a).into()) == bits((*b).into());
            assert!(same, "f32 on {isa}: {}({:e}, {:e}) = {b:e}, not {a:e}", F::NAME, x[i], y[i]);
        }
        let (x, y) = &operands.f64;
        for (i, (a, b)) in expected.1.iter().zip(&found.1).enumerate() {
            let same = bits(*a) == bits(*b);
            assert!(same, "f64 on {isa}: {}({:e}, {:e}) = {b:e}, not {a:e}", F::NAME, x[i], y[i]);
        }
    }
}

/// Says which instruction sets the run has not shown to be right.
fn name_the_missing() {
    let available: Vec<Level> = Isa::available().into_iter().map(Isa::level).collect();
    for level in [Level::Neon, Level::Avx2, Level::Avx512] {
        if !available.contains(&level) {
            ironlearn_testkit::tier::skipped(level.name(), "this machine does not have it");
        }
    }
}

/// A fixed sequence of 64 well-mixed bits (SplitMix64).
fn mixed(index: u64) -> u64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// All pairs of special values, random bit patterns, and values of moderate size.
fn operands() -> Operands {
    let special = [
        0.0,
        1.0,
        0.5,
        1.5,
        2.5,
        3.0,
        88.5,
        110.0,
        720.0,
        1e5,
        1e10,
        8388609.0,
        f64::from(f32::MIN_POSITIVE),
        f64::from(f32::MAX),
        1e-40,
        f64::MIN_POSITIVE,
        f64::MAX,
        1e-310,
        f64::INFINITY,
        f64::NAN,
    ];
    let signed: Vec<f64> = special.iter().flat_map(|&x| [x, -x]).collect();
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for &x in &signed {
        pairs.extend(signed.iter().map(|&y| (x, y)));
    }
    let unit = |i: u64| (mixed(i) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
    for scale in [1.0, 20.0, 200.0, 2e5] {
        pairs.extend((0..4096).map(|i| (unit(2 * i) * scale, unit(2 * i + 1) * scale)));
    }
    let mut narrow: (Vec<f32>, Vec<f32>) = pairs.iter().map(|&(x, y)| (x as f32, y as f32)).unzip();
    let mut wide: (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    for i in 0..16384 {
        let (x, y) = (mixed(2 * i), mixed(2 * i + 1));
        narrow.0.push(f32::from_bits(x as u32));
        narrow.1.push(f32::from_bits(y as u32));
        wide.0.push(f64::from_bits(x));
        wide.1.push(f64::from_bits(y));
    }
    let whole = narrow.0.len().next_multiple_of(16);
    for side in [&mut narrow.0, &mut narrow.1] {
        side.resize(whole, 0.25);
    }
    for side in [&mut wide.0, &mut wide.1] {
        side.resize(whole, 0.25);
    }
    Operands { f32: narrow, f64: wide }
}

macro_rules! formulas {
    ($test:ident: $($name:ident = |$x:ident, $y:ident| $body:expr;)*) => {
        $(
            struct $name;
            impl Formula for $name {
                const NAME: &'static str = stringify!($name);
                #[inline(always)]
                #[allow(unused_variables)]
                fn apply<L: FloatLanes>($x: L, $y: L) -> L { $body }
            }
        )*
        #[test]
        fn $test() {
            name_the_missing();
            let operands = operands();
            $(same_bits_everywhere::<$name>(&operands);)*
            // Denormal results are flushed alike; what a denormal operand counts as is left open.
            let operands = operands.without_denormals();
            let _flushed = FlushDenormals::enter();
            $(same_bits_everywhere::<$name>(&operands);)*
        }
    };
}

/// Lanes that `exp2_int` is defined for.
#[inline(always)]
fn exponent<L: FloatLanes>(x: L) -> L {
    let low = L::of(if L::DIGITS == 24 { -126.0 } else { -1022.0 });
    x.rounded().raw_max(low).raw_min(L::of(1.0) - low)
}

formulas! { operations_of_lanes:
    Add = |x, y| x + y;
    Sub = |x, y| x - y;
    Mul = |x, y| x * y;
    Div = |x, y| x / y;
    Neg = |x, y| -x;
    Fma = |x, y| x.fma(y, x);
    Root = |x, y| x.root();
    Floored = |x, y| x.floored();
    Rounded = |x, y| x.rounded();
    WithSign = |x, y| x.with_sign(y);
    Magnitude = |x, y| x.magnitude();
    RawMax = |x, y| x.raw_max(y);
    RawMin = |x, y| x.raw_min(y);
    Remainder = |x, y| x.remainder(y);
    Less = |x, y| L::select(x.less(y), x, L::of(7.0));
    Equal = |x, y| L::select(x.equal(y), x, L::of(7.0));
    Exp2Int = |x, y| exponent(x).exp2_int();
    Significand = |x, y| x.split().0;
    Exponent = |x, y| x.split().1;
}

formulas! { transcendental_functions:
    Exp = |x, y| math::exp(x);
    Log = |x, y| math::log(x);
    Tanh = |x, y| math::tanh(x);
    Sigmoid = |x, y| math::sigmoid(x);
    Sin = |x, y| math::sin(x);
    Cos = |x, y| math::cos(x);
    Erf = |x, y| math::erf(x);
    Pow = |x, y| math::pow(x, y);
}

struct Masks;
impl Kernel for Masks {
    type Out = ();
    #[inline(always)]
    fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) {
        masks_round_trip::<F32>();
        masks_round_trip::<F64>();
    }
}

#[inline(always)]
fn masks_round_trip<L: FloatLanes>() {
    for pattern in 0..1_usize << L::WIDTH {
        let truth: Vec<bool> = (0..L::WIDTH).map(|lane| pattern >> lane & 1 == 1).collect();
        let mask = L::load_mask(&truth);
        let mut back = vec![false; L::WIDTH + 1];
        L::store_mask(mask, &mut back);
        assert_eq!((&back[..L::WIDTH], back[L::WIDTH]), (&truth[..], false), "a mask of {} lanes", L::WIDTH);
        assert_eq!(L::any(mask), pattern != 0);
        // Loading and selecting must agree on which lane is which.
        let chosen = L::select(mask, L::of(1.0), L::of(0.0));
        L::store_mask(chosen.equal(L::of(1.0)), &mut back);
        assert_eq!(&back[..L::WIDTH], &truth[..], "a choice of {} lanes", L::WIDTH);
    }
}

#[test]
fn masks_keep_their_lanes() {
    name_the_missing();
    for isa in Isa::available() {
        isa.run(Masks);
    }
}

struct Parts;

impl Kernel for Parts {
    type Out = ();
    #[inline(always)]
    fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) {
        parts_of_every_length::<F32>(f32::from);
        parts_of_every_length::<F64>(f64::from);
    }
}

/// Lanes beyond a part are loaded as zeros, and elements beyond it are not written.
#[inline(always)]
fn parts_of_every_length<L: FloatLanes>(of: impl Fn(u8) -> L::Elem)
where
    L::Elem: PartialEq + std::fmt::Debug,
{
    for n in 1..L::WIDTH {
        let from: Vec<L::Elem> = (1..=n as u8).map(&of).collect();
        let (mut whole, mut part) = (vec![of(77); L::WIDTH], vec![of(77); L::WIDTH]);
        L::load_part(&from).store(&mut whole);
        assert_eq!(whole[..n], from, "{n} of {}", L::WIDTH);
        assert!(whole[n..].iter().all(|x| *x == of(0)), "{n} of {}: {whole:?}", L::WIDTH);
        L::load(&whole).store_part(&mut part[..n]);
        assert_eq!(part[..n], from, "{n} of {}", L::WIDTH);
        assert!(part[n..].iter().all(|x| *x == of(77)), "{n} of {}: {part:?}", L::WIDTH);
    }
}

#[test]
fn parts_of_a_register_are_loaded_and_stored() {
    for isa in Isa::available() {
        isa.run(Parts);
    }
}
