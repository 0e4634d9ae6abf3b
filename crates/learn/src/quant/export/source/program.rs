//! [`Program`]: what a network's file has in it, for no language in particular.

use super::memory::{Memory, Place};
use super::{SourceOptions, vector};
use crate::Error;
use crate::quant::arithmetic::{Code, Requantize, Rounding};
use crate::quant::model::{IntegerModel, Node, Op};

/// A network as arrays and calls of kernels.
pub struct Program<'m> {
    pub model: &'m IntegerModel,
    pub name: &'m str,
    pub memory: Memory,
    /// Arrays, and records that refer to earlier ones.
    pub data: Vec<Data>,
    pub calls: Vec<Call>,
    /// Some scale is rounded twice.
    pub twice: bool,
    /// Codes that go in and those that come out for them.
    pub example: (Vec<i32>, Vec<i32>),
}

/// Something constant with a name.
pub struct Data {
    pub name: String,
    pub what: What,
}

pub enum What {
    /// Numbers of a type, `"size"` that of lengths.
    Array(&'static str, Vec<i64>),
    /// A record of a type of the kernels.
    Record(&'static str, Vec<(&'static str, Field)>),
}

/// A field of a record.
pub enum Field {
    Number(i64),
    Flag(bool),
    Pair([usize; 2]),
    /// The zero points of two values.
    Zeros([i32; 2]),
    /// Other data, by number.
    Data(usize),
    /// A length, for a language whose arrays do not know theirs.
    Length(usize),
}

/// A kernel with the types of its codes, by the letter that stands for them in its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Kernel {
    pub section: &'static str,
    pub types: Vec<(char, &'static str)>,
}

/// An argument of a kernel.
pub enum Arg {
    /// A value to read, by number.
    Read(usize),
    /// A value to write.
    Write(usize),
    Data(usize),
    Number(i64),
    Flag(bool),
    /// A length, for a language whose arrays do not know theirs.
    Length(usize),
}

/// A call of a kernel.
pub struct Call {
    /// What it does for which layer.
    pub comment: String,
    pub kernel: Kernel,
    pub args: Vec<Arg>,
    /// It can say that its input is none.
    pub fallible: bool,
}

impl Kernel {
    pub fn new(section: &'static str, types: &[(char, Code)]) -> Kernel {
        Kernel { section, types: types.iter().map(|&(letter, code)| (letter, type_of(code))).collect() }
    }

    /// The name of its function.
    pub fn name(&self) -> String {
        self.types.iter().fold(self.section.to_owned(), |name, (_, ty)| format!("{name}_{ty}"))
    }
}

/// The name of a code's type.
pub fn type_of(code: Code) -> &'static str {
    match code {
        Code::I8 => "i8",
        Code::I16 => "i16",
        Code::I32 => "i32",
    }
}

impl<'m> Program<'m> {
    pub fn of(model: &'m IntegerModel, options: &'m SourceOptions) -> Result<Program<'m>, Error> {
        model.check()?;
        checked_name(&options.name)?;
        let roundings = || model.nodes.iter().filter_map(|node| Some((node, node.op.requantize()?.rounding)));
        if let Some((node, _)) = roundings().find(|(_, rounding)| *rounding == Rounding::OrtFloat) {
            return Err(Error::usage(
                format!("layer {} rounds as ONNX Runtime does, in floats", node.layer),
                "round half to even, or twice as TensorFlow Lite does: source code of integers has no floats",
            ));
        }
        let mut program = Program {
            model,
            name: &options.name,
            memory: Memory::of(model),
            data: Vec::new(),
            calls: Vec::new(),
            twice: roundings().any(|(_, rounding)| rounding == Rounding::TfliteDouble),
            example: vector::example(model, options.example.as_deref())?,
        };
        for (i, node) in model.nodes.iter().enumerate() {
            if program.memory.places[i + 1].is_some() && !matches!(node.op, Op::Reshape) {
                program.node(i, node)?;
            }
        }
        if program.memory.places[model.nodes.len()] == Some(Place::Input) {
            program.copy_through();
        }
        Ok(program)
    }

    /// Whether something can go in that no code comes out for.
    pub fn fallible(&self) -> bool {
        self.calls.iter().any(|call| call.fallible)
    }

    /// Bytes of all constant numbers.
    pub fn data_bytes(&self) -> usize {
        let bytes = |data: &Data| match &data.what {
            What::Array(ty, numbers) => numbers.len() * bytes_of(ty),
            What::Record(..) => 0,
        };
        self.data.iter().map(bytes).sum()
    }

    /// Adds an array; gives the argument that it is.
    pub fn array<T: Copy + Into<i64>>(
        &mut self,
        name: &str,
        node: usize,
        ty: &'static str,
        numbers: &[T],
    ) -> usize {
        let numbers = numbers.iter().map(|&x| x.into()).collect();
        self.data.push(Data { name: format!("{name}_{node}"), what: What::Array(ty, numbers) });
        self.data.len() - 1
    }

    pub fn record(
        &mut self,
        name: &str,
        node: usize,
        ty: &'static str,
        fields: Vec<(&'static str, Field)>,
    ) -> usize {
        self.data.push(Data { name: format!("{name}_{node}"), what: What::Record(ty, fields) });
        self.data.len() - 1
    }

    /// The record of a scale.
    pub fn scale(&mut self, node: usize, r: &Requantize) -> usize {
        let integers: Vec<i32> = r.by.iter().map(|by| by.integer()).collect();
        let shifts: Vec<u8> = r.by.iter().map(|by| by.shift()).collect();
        let m = self.array("scale_m", node, "i32", &integers);
        let s = self.array("scale_s", node, "u8", &shifts);
        let mut fields = vec![
            ("m", Field::Data(m)),
            ("s", Field::Data(s)),
            ("channels", Field::Number(r.by.len() as i64)),
            ("zero", Field::Number(r.zero_point.into())),
            ("low", Field::Number(r.low.into())),
            ("high", Field::Number(r.high.into())),
        ];
        if self.twice {
            fields.push(("twice", Field::Flag(r.rounding == Rounding::TfliteDouble)));
        }
        self.record("scale", node, "Scale", fields)
    }

    pub fn call(&mut self, node: &Node, kernel: Kernel, args: Vec<Arg>) {
        let fallible = kernel.section == "embedding";
        let comment = format!("{}: {} to {:?}", node.layer, node.op.name(), node.output.shape);
        // A layer's name is of the user's making, and a comment ends with its line.
        let comment = comment.replace(|c: char| c.is_control() || "\\*/".contains(c), " ");
        self.calls.push(Call { comment, kernel, args, fallible });
    }

    /// What goes in comes out, in another shape at most.
    fn copy_through(&mut self) {
        let n = self.model.input.elements();
        let kernel = Kernel::new("runs", &[('X', self.model.input.quantization.code)]);
        let run = Arg::Number(n as i64);
        let args = vec![
            Arg::Read(0),
            Arg::Length(1),
            run,
            Arg::Number(0),
            Arg::Number(n as i64),
            Arg::Write(self.model.nodes.len()),
        ];
        let comment = "what goes in comes out".to_owned();
        self.calls.push(Call { comment, kernel, args, fallible: false });
    }
}

/// The bytes of a number of a type; lengths have 4 on the machines that these files are for.
fn bytes_of(ty: &str) -> usize {
    match ty {
        "i8" | "u8" => 1,
        "i16" => 2,
        _ => 4,
    }
}

/// Whether a text is a name in both languages.
fn checked_name(name: &str) -> Result<(), Error> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(letters) {
        return Ok(());
    }
    Err(Error::usage(
        format!("{name:?} is no name in source code"),
        "begin with a letter, and use only a to z, 0 to 9 and _",
    ))
}
