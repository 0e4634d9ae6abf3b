//! Elements as words of one width.

use ironlearn_ir::prim::cast::{Convert, Wide, convert, from_f64};
use ironlearn_ir::{ArrayView, DType, Kind, dispatch};

/// Digits after the point, at most.
const PRECISION: usize = 8;

/// The elements at these positions, aligned with each other.
pub(super) fn aligned(x: ArrayView<'_>, shown: &[usize]) -> Vec<String> {
    match x.dtype().kind() {
        Kind::Bool => right(wide(x, shown).map(|w| truth(w).into()).collect(), " True".len()),
        Kind::Int => right(wide(x, shown).map(integer).collect(), 0),
        Kind::Float => {
            floats(&wide(x, shown).map(|w| Decimal::new(part(w, 0), x.dtype())).collect::<Vec<_>>(), false)
        }
        Kind::Complex => {
            let parts = |i| wide(x, shown).map(|w| Decimal::new(part(w, i), x.dtype())).collect::<Vec<_>>();
            let (re, im) = (floats(&parts(0), false), floats(&parts(1), true));
            re.into_iter().zip(im).map(|(re, im)| re + &with_unit(&im)).collect()
        }
    }
}

/// The element of an array of rank 0, with all digits that tell it apart.
pub(super) fn scalar(x: ArrayView<'_>) -> String {
    let Some(value) = wide(x, &[0]).next() else { return String::new() };
    let text = |i| Decimal::new(part(value, i), x.dtype()).shortest();
    match (x.dtype().kind(), value) {
        (Kind::Bool, _) => truth(value).into(),
        (Kind::Int, _) => integer(value),
        (Kind::Float, _) => {
            let text = text(0);
            let whole = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
            if whole { text + ".0" } else { text }
        }
        (_, Wide::Complex(re, _)) if re == 0.0 && re.is_sign_positive() => text(1) + "j",
        _ => {
            let im = text(1);
            let sign = if im.starts_with('-') { "" } else { "+" };
            format!("({}{sign}{im}j)", text(0))
        }
    }
}

/// The elements at these positions in a type that holds all.
fn wide<'a>(x: ArrayView<'a>, shown: &'a [usize]) -> impl Iterator<Item = Wide> + 'a {
    let at = move |i: usize| dispatch!(x.dtype(), T => x.as_slice::<T>().map(|s| s[i].to_wide()));
    shown.iter().filter_map(move |&i| at(i))
}

fn truth(x: Wide) -> &'static str {
    if matches!(x, Wide::Int(0)) { "False" } else { "True" }
}

fn integer(x: Wide) -> String {
    if let Wide::Int(x) = x { x.to_string() } else { String::new() }
}

/// The real (0) or imaginary (1) part.
fn part(x: Wide, i: usize) -> f64 {
    match x {
        Wide::Int(x) => x as f64,
        Wide::Float(x) => x,
        Wide::Complex(re, im) => [re, im][i],
    }
}

/// Words with spaces before them, to the width of the longest.
fn right(words: Vec<String>, at_least: usize) -> Vec<String> {
    let width = words.iter().map(String::len).fold(at_least, usize::max);
    words.into_iter().map(|w| format!("{w:>width$}")).collect()
}

/// `j` after the digits and before the spaces that follow them.
fn with_unit(word: &str) -> String {
    let digits = word.trim_end();
    format!("{digits}j{}", &word[digits.len()..])
}

/// A number with the fewest decimal digits that tell it apart from its neighbours.
struct Decimal {
    value: f64,
    /// The digits without the point, which stands after the first.
    digits: String,
    exponent: i32,
    dtype: DType,
}

impl Decimal {
    /// A value that came from an element, or a part of one, of this type.
    fn new(value: f64, dtype: DType) -> Decimal {
        let text = match dtype {
            DType::F32 | DType::C64 => format!("{:e}", (value as f32).abs()),
            DType::F16 | DType::Bf16 => shortest_half(value.abs(), dtype),
            _ => format!("{:e}", value.abs()),
        };
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        Decimal { value, digits: digits.replace('.', ""), exponent: exponent.parse().unwrap_or(0), dtype }
    }

    fn is_finite(&self) -> bool {
        self.value.is_finite()
    }

    /// `nan`, `inf` or `-inf`, with a sign where one is always written.
    fn not_finite(&self, signed: bool) -> String {
        match (self.value.is_nan(), signed && self.value > 0.0) {
            (true, _) => if signed { "+nan" } else { "nan" }.into(),
            (false, true) => "+inf".into(),
            (false, false) => self.value.to_string(),
        }
    }

    fn sign(&self, signed: bool) -> &'static str {
        match (self.value.is_sign_negative(), signed) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        }
    }

    /// Sign and digits before the point, digits after it: at most 8, no zeros at the end.
    fn positional(&self, signed: bool) -> (String, String) {
        let fraction = self.digits.len() as i32 - 1 - self.exponent;
        let places = if fraction > PRECISION as i32 { PRECISION } else { fraction.max(0) as usize };
        // The shortest digits, where they all fit, are not always those of the exact value.
        let text =
            if fraction > PRECISION as i32 { format!("{:.places$}", self.value.abs()) } else { self.plain() };
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        (format!("{}{whole}", self.sign(signed)), fraction.trim_end_matches('0').into())
    }

    /// All digits around the point, without an exponent.
    fn plain(&self) -> String {
        if self.exponent < 0 {
            return format!("0.{}{}", "0".repeat(-self.exponent as usize - 1), self.digits);
        }
        let whole = self.exponent as usize + 1;
        if self.digits.len() <= whole {
            return format!("{:0<whole$}", self.digits);
        }
        format!("{}.{}", &self.digits[..whole], &self.digits[whole..])
    }

    /// Sign and first digit, at most 8 further digits without zeros at the end, exponent.
    fn scientific(&self, signed: bool) -> (String, String, i32) {
        let (digits, exponent) = match self.digits.len() > PRECISION + 1 {
            true => self.exact(PRECISION),
            false => (self.digits.clone(), self.exponent),
        };
        let (first, rest) = digits.split_at(1);
        (format!("{}{first}", self.sign(signed)), rest.trim_end_matches('0').into(), exponent)
    }

    /// As [`Decimal::scientific`] with so many further digits: where the shortest form has fewer, those of
    /// the exact value.
    fn scientific_to(&self, places: usize, signed: bool) -> (String, String, i32) {
        let (first, rest, exponent) = self.scientific(signed);
        if self.digits.len() > places {
            return (first, format!("{rest:0<places$}"), exponent);
        }
        let (digits, exponent) = self.exact(places);
        (first[..first.len() - 1].to_string() + &digits[..1], digits[1..].into(), exponent)
    }

    /// The first digit and so many further ones, rounded from the exact value, and the exponent.
    fn exact(&self, places: usize) -> (String, i32) {
        let text = format!("{:.places$e}", self.value.abs());
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        (digits.replace('.', ""), exponent.parse().unwrap_or(0))
    }

    /// All digits, with an exponent below 1e-4 and where not all whole numbers are exact; no point after a
    /// whole number.
    fn shortest(&self) -> String {
        if !self.is_finite() {
            return self.not_finite(false);
        }
        let high = if sure_digits(self.dtype) == 15 { 1e16 } else { 10f64.powi(sure_digits(self.dtype)) };
        if self.value == 0.0 || (1e-4..high).contains(&self.value.abs()) {
            return format!("{}{}", self.sign(false), self.plain());
        }
        let (first, rest) = self.digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        format!("{}{first}{point}{rest}{}", self.sign(false), power(self.exponent, 2))
    }
}

/// Decimal digits that every number keeps in this type.
fn sure_digits(dtype: DType) -> i32 {
    match dtype {
        DType::Bf16 => 2,
        DType::F16 => 3,
        DType::F32 | DType::C64 => 6,
        _ => 15,
    }
}

/// `e`, sign, and at least so many digits.
fn power(exponent: i32, digits: usize) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:0digits$}", exponent.unsigned_abs())
}

/// The fewest digits that a half-precision type reads back as the same value.
fn shortest_half(value: f64, dtype: DType) -> String {
    let back = |x: f64| match dtype {
        DType::F16 => convert::<_, f64>(from_f64::<ironlearn_ir::f16>(x)),
        _ => convert(from_f64::<ironlearn_ir::bf16>(x)),
    };
    let read = |text: &String| text.parse().is_ok_and(|x: f64| back(x) == value);
    // Five digits tell all of them apart; infinity and NaN have none.
    let text = (0..4).map(|places| format!("{value:.places$e}")).find(read).unwrap_or(format!("{value:.4e}"));
    // Rounding can leave zeros at the end.
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => {
            format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// Floats with their points below each other.
fn floats(x: &[Decimal], signed: bool) -> Vec<String> {
    let finite = || x.iter().filter(|d| d.is_finite());
    if is_wide(x) {
        let parts: Vec<_> = finite().map(|d| d.scientific(signed)).collect();
        let left = parts.iter().map(|p| p.0.len()).max().unwrap_or(0);
        let places = parts.iter().map(|p| p.1.len()).max().unwrap_or(0);
        let digits = parts.iter().map(|p| power(p.2, 2).len() - 2).max().unwrap_or(2);
        return joined(x, signed, left, places + digits + 2, |d| {
            let (first, rest, exponent) = d.scientific_to(places, signed);
            (first, rest + &power(exponent, digits))
        });
    }
    let parts: Vec<_> = finite().map(|d| d.positional(signed)).collect();
    let left = parts.iter().map(|p| p.0.len()).max().unwrap_or(0);
    let places = parts.iter().map(|p| p.1.len()).max().unwrap_or(0);
    joined(x, signed, left, places, |d| d.positional(signed))
}

/// True where the finite elements need exponents.
fn is_wide(x: &[Decimal]) -> bool {
    let sizes = || x.iter().filter(|d| d.is_finite() && d.value != 0.0).map(|d| d.value.abs());
    let (low, high) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max));
    // Bounds and ratio are those that arithmetic in the element type gives.
    let rounded = |v: f64| match x.first().map(|d| d.dtype) {
        Some(DType::F32 | DType::C64) => f64::from(v as f32),
        Some(DType::F16) => convert(from_f64::<ironlearn_ir::f16>(v)),
        _ => v,
    };
    let cutoff = x.first().map_or(PRECISION as i32, |d| sure_digits(d.dtype).min(PRECISION as i32));
    high >= 10f64.powi(cutoff) || (high > 0.0 && (low < rounded(1e-4) || rounded(high / low) > 1000.0))
}

/// Words of `left` characters, a point and `right` characters; those that are not finite fill the place.
fn joined(
    x: &[Decimal],
    signed: bool,
    mut left: usize,
    right: usize,
    split: impl Fn(&Decimal) -> (String, String),
) -> Vec<String> {
    for d in x.iter().filter(|d| !d.is_finite()) {
        left = left.max(d.not_finite(signed).len().saturating_sub(right + 1));
    }
    let word = |d: &Decimal| match d.is_finite() {
        true => {
            let (whole, rest) = split(d);
            format!("{whole:>left$}.{rest:<right$}")
        }
        false => format!("{:>width$}", d.not_finite(signed), width = left + 1 + right),
    };
    x.iter().map(word).collect()
}
