//! The messages of ONNX. Fields have the names and numbers of `onnx.proto`; messages lack its `Proto` at their end.

use super::reader::{Reader, Refusal};
use super::wire::{Field, Message, message};
use crate::io::bytes::{self, Bytes};
use ironlearn_ir::{ArrayView, DType, bf16, f16};

message! {
    /// A model: what a file holds.
    Model {
        /// The version of this format.
        ir_version: Option<i64> = 1,
        /// The program that wrote it.
        producer_name: String = 2,
        /// Its version.
        producer_version: String = 3,
        /// What the model is.
        doc_string: String = 6,
        /// The computation.
        graph: Option<Graph> = 7,
        /// The versions of the operators.
        opset_import: Vec<OperatorSet> = 8,
        /// Texts by name.
        metadata_props: Vec<Entry> = 14,
    }
}

message! {
    /// A text with its name.
    Entry {
        /// The name.
        key: String = 1,
        /// The text.
        value: String = 2,
    }
}

message! {
    /// A set of operators; that of ONNX itself has no domain.
    OperatorSet {
        /// Whose operators.
        domain: String = 1,
        /// Their version.
        version: Option<i64> = 2,
    }
}

message! {
    /// A computation: nodes in an order in which they can be computed.
    Graph {
        /// The operations.
        node: Vec<Node> = 1,
        /// The name.
        name: String = 2,
        /// Constants, by name.
        initializer: Vec<Tensor> = 5,
        /// What goes in.
        input: Vec<ValueInfo> = 11,
        /// What comes out.
        output: Vec<ValueInfo> = 12,
        /// Types of values in between.
        value_info: Vec<ValueInfo> = 13,
    }
}

message! {
    /// An operation.
    Node {
        /// Names of the values that it takes.
        input: Vec<String> = 1,
        /// Names of its results.
        output: Vec<String> = 2,
        /// Its own name.
        name: String = 3,
        /// What it computes.
        op_type: String = 4,
        /// What else it has to know.
        attribute: Vec<Attribute> = 5,
        /// Whose operator it is; empty for ONNX itself.
        domain: String = 7,
    }
}

message! {
    /// An attribute of an operation. Its kind says which field holds it.
    Attribute {
        /// The name.
        name: String = 1,
        /// One float.
        f: Option<f32> = 2,
        /// One number.
        i: Option<i64> = 3,
        /// A text.
        s: Vec<u8> = 4,
        /// An array.
        t: Option<Box<Tensor>> = 5,
        /// A graph, as its bytes.
        g: Vec<u8> = 6,
        /// Several floats.
        floats: Vec<f32> = 7,
        /// Several numbers.
        ints: Vec<i64> = 8,
        /// Several texts.
        strings: Vec<String> = 9,
        /// The kind of its value.
        kind: Option<i64> = 20,
    }
}

message! {
    /// An array.
    Tensor {
        /// The lengths of its axes; none for a single number.
        dims: Vec<i64> = 1,
        /// An [`ElementType`].
        data_type: Option<i64> = 2,
        /// Its elements as floats, of complex numbers both parts.
        float_data: Vec<f32> = 4,
        /// Its elements as numbers of 32 bits or less; of narrow floats their bits.
        int32_data: Vec<i64> = 5,
        /// Its elements as texts.
        string_data: Vec<String> = 6,
        /// Its elements as numbers of 64 bits.
        int64_data: Vec<i64> = 7,
        /// The name.
        name: String = 8,
        /// Its elements, little-endian.
        raw_data: Vec<u8> = 9,
        /// Its elements as floats of 64 bits.
        double_data: Vec<f64> = 10,
        /// Its elements as numbers without a sign.
        uint64_data: Vec<i64> = 11,
        /// Where its elements stand, where that is another file.
        external_data: Vec<Entry> = 13,
        /// 1 where its elements stand in another file.
        data_location: Option<i64> = 14,
    }
}

message! {
    /// A value with its type.
    ValueInfo {
        /// The name.
        name: String = 1,
        /// The type.
        r#type: Option<Type> = 2,
    }
}

message! {
    /// The type of a value.
    Type {
        /// Of an array.
        tensor_type: Option<TensorType> = 1,
    }
}

message! {
    /// The type of an array.
    TensorType {
        /// An [`ElementType`].
        elem_type: Option<i64> = 1,
        /// Its axes.
        shape: Option<TensorShape> = 2,
    }
}

message! {
    /// The axes of an array.
    TensorShape {
        /// One after the other.
        dim: Vec<Dimension> = 1,
    }
}

message! {
    /// The length of an axis.
    Dimension {
        /// A number.
        dim_value: Option<i64> = 1,
        /// Or a name for a length that is known later.
        dim_param: String = 2,
    }
}

/// The type of an element, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ElementType {
    /// 32-bit floats.
    F32 = 1,
    /// 0..=255.
    U8 = 2,
    /// −128..=127.
    I8 = 3,
    /// 16 bits.
    I16 = 5,
    /// 32 bits.
    I32 = 6,
    /// 64 bits.
    I64 = 7,
    /// Truth values.
    Bool = 9,
    /// 16-bit floats.
    F16 = 10,
    /// 64-bit floats.
    F64 = 11,
    /// 32 bits without a sign.
    U32 = 12,
    /// Complex numbers of 32-bit floats.
    C64 = 14,
    /// Complex numbers of 64-bit floats.
    C128 = 15,
    /// 16-bit floats with the exponents of 32-bit ones.
    Bf16 = 16,
}

impl ElementType {
    /// Its number.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// That of arrays of this type.
    pub fn of(dtype: DType) -> ElementType {
        match dtype {
            DType::Bool => ElementType::Bool,
            DType::U8 => ElementType::U8,
            DType::I8 => ElementType::I8,
            DType::I16 => ElementType::I16,
            DType::I32 => ElementType::I32,
            DType::I64 => ElementType::I64,
            DType::U32 => ElementType::U32,
            DType::F16 => ElementType::F16,
            DType::Bf16 => ElementType::Bf16,
            DType::F32 => ElementType::F32,
            DType::F64 => ElementType::F64,
            DType::C64 => ElementType::C64,
            DType::C128 => ElementType::C128,
        }
    }

    /// The type of arrays whose elements have this number; none where there are no such arrays.
    pub fn dtype(number: i64) -> Option<DType> {
        DType::ALL.into_iter().find(|&dtype| ElementType::of(dtype).number() == number)
    }

    /// The name of the type of this number, as ONNX has it.
    pub fn name(number: i64) -> String {
        let names = [
            "undefined",
            "float",
            "uint8",
            "int8",
            "uint16",
            "int16",
            "int32",
            "int64",
            "string",
            "bool",
            "float16",
            "double",
            "uint32",
            "uint64",
            "complex64",
            "complex128",
            "bfloat16",
            "float8e4m3fn",
            "float8e4m3fnuz",
            "float8e5m2",
            "float8e5m2fnuz",
            "uint4",
            "int4",
            "float4e2m1",
            "float8e8m0",
            "uint2",
            "int2",
        ];
        let name = usize::try_from(number).ok().and_then(|n| names.get(n));
        name.map_or_else(|| format!("type {number}"), |name| (*name).to_owned())
    }
}

/// A number that is an element of arrays.
pub trait Element: Bytes {
    /// Its type.
    const TYPE: ElementType;
}

macro_rules! elements {
    ($($t:ty: $of:ident),*) => {$(
        impl Element for $t {
            const TYPE: ElementType = ElementType::$of;
        }
    )*};
}
elements!(f32: F32, u8: U8, i8: I8, i16: I16, i32: I32, i64: I64, bool: Bool, f16: F16, f64: F64, u32: U32, bf16: Bf16);

impl Attribute {
    /// Several numbers.
    pub fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> Attribute {
        let ints = values.into_iter().map(|x| x as i64).collect();
        Attribute { name: name.to_owned(), ints, kind: Some(7), ..Attribute::default() }
    }

    /// One number.
    pub fn int(name: &str, value: i64) -> Attribute {
        Attribute { name: name.to_owned(), i: Some(value), kind: Some(2), ..Attribute::default() }
    }

    /// One float.
    pub fn float(name: &str, value: f64) -> Attribute {
        Attribute { name: name.to_owned(), f: Some(value as f32), kind: Some(1), ..Attribute::default() }
    }
}

impl Tensor {
    /// An array of these axes.
    pub fn of<T: Element>(name: String, dims: &[usize], values: &[T]) -> Tensor {
        let mut raw_data = vec![0; size_of_val(values)];
        for (bytes, &value) in raw_data.chunks_exact_mut(size_of::<T>()).zip(values) {
            value.put(bytes);
        }
        let dims = dims.iter().map(|&n| n as i64).collect();
        Tensor { dims, data_type: Some(T::TYPE.number()), name, raw_data, ..Tensor::default() }
    }

    /// The same of an array.
    pub fn of_array(name: String, array: ArrayView<'_>) -> Tensor {
        let mut raw_data = Vec::with_capacity(array.shape().elements() * array.dtype().size());
        // A list never refuses bytes.
        let _ = bytes::for_each_chunk(array.data(), |chunk| {
            raw_data.extend_from_slice(chunk);
            Ok(())
        });
        let dims = array.shape().iter().map(|&n| n as i64).collect();
        let data_type = Some(ElementType::of(array.dtype()).number());
        Tensor { dims, data_type, name, raw_data, ..Tensor::default() }
    }
}

impl ValueInfo {
    /// An array with a named first axis, and the others of these lengths.
    pub fn rows(name: &str, of: ElementType, first: &str, others: &[usize]) -> ValueInfo {
        let length = |&n: &usize| Dimension { dim_value: Some(n as i64), ..Dimension::default() };
        let first = Dimension { dim_value: None, dim_param: first.to_owned() };
        let dim = [first].into_iter().chain(others.iter().map(length)).collect();
        let tensor = TensorType { elem_type: Some(of.number()), shape: Some(TensorShape { dim }) };
        ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor) }) }
    }
}
