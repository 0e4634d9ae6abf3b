//! Networks of integers as ONNX models, in two profiles.
//!
//! | | [`Profile::Integer`] | [`Profile::Qdq`] |
//! |---|---|---|
//! | for | proof | speed |
//! | takes, gives | codes | floats (tokens stay integers) |
//! | operators | integer ones, from which every runtime has to get the same codes | floats between `QuantizeLinear` and `DequantizeLinear`, which runtimes fuse |
//! | the result | the very codes of the network | the same codes where scales are powers of two, and of most networks that come from floats; else at most 1 code in 10,000 is off by 1 |
//!
//! Floats round nothing while sums times a multiplier are integers of 24 bits times a power of two. Multipliers of 8-bit
//! layers of networks that come from floats have 5 bits, so that sums may have 19, and a few digits more do seldom harm.
//! Multipliers of other networks have 31 bits: their scales are chosen so that what onnxruntime fuses rounds as the
//! network does; without its optimizations some codes in a million differ after each layer, which the next ones carry on.
//! A softmax has its exponentials in floats, whatever the scales are.
//!
//! Both need opset 21. `scripts/onnx-check.sh` compares them with onnxruntime. On processors with AVX2 but not VNNI,
//! onnxruntime needs `session.x64quantprecision` = 1 to be exact with the second one: otherwise its sums saturate.

mod integer;
mod qdq;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::io::onnx::builder::{Builder, Value};
use crate::io::onnx::{self, ElementType, Entry, Model, OperatorSet, ValueInfo};
use crate::quant::arithmetic::Code;
use crate::quant::model::{Edge, IntegerModel, Node};
use std::path::Path;

/// The version of ONNX's operators: the first whose `QuantizeLinear` has 16 bits.
const OPSET: i64 = 21;

/// The version of the format that came with them.
const IR_VERSION: i64 = 10;

/// How a network is expressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Integer operators throughout, but where a float is exact or the network itself asks for it
    /// ([`OrtFloat`](crate::quant::Rounding::OrtFloat)): the same codes in every runtime.
    Integer,
    /// Float operators between quantizations, as runtimes want them to be fast.
    Qdq,
}

/// A network as an ONNX model.
///
/// ```
/// use ironlearn::quant::export::onnx::{Profile, model};
/// use ironlearn::quant::model::{Edge, IntegerModel, Op};
/// use ironlearn::quant::{Code, Quantization};
///
/// let codes = Quantization { code: Code::I8, scale: 0.5, zero_point: 0 };
/// let mut network = IntegerModel::new(Edge::new([3], codes));
/// network.push("square", Op::Table((-128..128i32).map(|c| (c * c / 2).min(127)).collect()), &[0], Edge::new([3], codes));
/// let graph = model(&network, Profile::Integer)?.graph.unwrap_or_default();
/// let operators: Vec<&str> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
/// assert!(operators.contains(&"Gather"));
/// # Ok::<(), ironlearn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Usage`] where the network is not whole, or has an operation without a form in this profile.
pub fn model(network: &IntegerModel, profile: Profile) -> Result<Model, Error> {
    network.check()?;
    let builder = Builder::default();
    let floats = profile == Profile::Qdq;
    let given = builder.input("input");
    builder.enter("input".to_owned());
    let input = match network.input.quantization.code {
        _ if floats => qdq::quantized(&builder, given, &network.input),
        Code::I8 => shifted(&builder, given, offset(Code::I8), ElementType::U8),
        _ => given,
    };
    let mut values = vec![input];
    for (i, node) in network.nodes.iter().enumerate() {
        builder.enter(format!("{i}.{}", node.layer));
        let operands = node.inputs.iter().filter_map(|&v| Some((values[v], network.edge(v)?))).collect();
        let context = Context { builder: &builder, node, operands };
        values.push(match profile {
            Profile::Integer => context.integers(),
            Profile::Qdq => context.floats()?,
        });
    }
    let last = values.pop().unwrap_or(input);
    builder.enter("output".to_owned());
    let result = match network.output().quantization.code {
        _ if floats => qdq::dequantized(&builder, last, network.output()),
        Code::I8 => shifted(&builder, last, -offset(Code::I8), ElementType::I8),
        _ => last,
    };
    let mut graph = builder.finish(result, "output");
    graph.name = "network".to_owned();
    graph.input = vec![info("input", &network.input, floats)];
    graph.output = vec![info("output", network.output(), floats)];
    Ok(Model {
        ir_version: Some(IR_VERSION),
        producer_name: "ironlearn".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: about(profile).to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSet { domain: String::new(), version: Some(OPSET) }],
        metadata_props: [("input", &network.input), ("output", network.output())]
            .into_iter()
            .flat_map(|(name, edge)| entries(name, edge))
            .collect(),
    })
}

/// Writes a network as an ONNX file.
///
/// # Errors
/// As [`model`]; [`Error::Usage`] where the file would have 2 GiB or more; [`Error::Io`], and the file then holds
/// what it held before.
pub fn save(network: &IntegerModel, profile: Profile, path: &Path) -> Result<(), Error> {
    onnx::write(path, &model(network, profile)?)
}

fn about(profile: Profile) -> &'static str {
    match profile {
        Profile::Integer => {
            "A network of integers. It takes and gives codes; value = (code - zero_point)*scale."
        }
        Profile::Qdq => "A network of integers between floats: every operator's result is quantized.",
    }
}

/// What the codes of an end of the network stand for, for whoever has only the file.
fn entries(name: &str, edge: &Edge) -> [Entry; 2] {
    let q = &edge.quantization;
    let entry = |what: &str, value: String| Entry { key: format!("ironlearn.{name}.{what}"), value };
    [entry("scale", format!("{:e}", q.scale)), entry("zero_point", q.zero_point.to_string())]
}

/// Codes with a sign from those without, or back.
fn shifted(b: &Builder, x: Value, by: i32, to: ElementType) -> Value {
    b.cast(b.op("Add", &[b.cast(x, ElementType::I32), b.scalar(by)]), to)
}

fn info(name: &str, edge: &Edge, floats: bool) -> ValueInfo {
    let code = edge.quantization.code;
    let of = match code {
        Code::I32 => ElementType::I32,
        _ if floats => ElementType::F32,
        Code::I8 => ElementType::I8,
        Code::I16 => ElementType::I16,
    };
    ValueInfo::rows(name, of, "rows", &edge.shape)
}

/// What the operators of one node are made from.
struct Context<'a> {
    builder: &'a Builder,
    node: &'a Node,
    /// Codes; those of 8 bits have no sign and are [128 larger](offset), as runtimes want them to be fast.
    operands: Vec<(Value, &'a Edge)>,
}

/// What codes in a graph are larger by: those of 8 bits have no sign there.
fn offset(code: Code) -> i32 {
    if code == Code::I8 { 128 } else { 0 }
}

/// The type of codes in a graph.
fn element(code: Code) -> ElementType {
    match code {
        Code::I8 => ElementType::U8,
        Code::I16 => ElementType::I16,
        Code::I32 => ElementType::I32,
    }
}
