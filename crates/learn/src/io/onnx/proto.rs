//! The messages of ONNX. Fields have the names and numbers of `onnx.proto`; messages lack its `Proto` at their end.

use super::wire::{Field, Message, message};
use crate::io::bytes::Bytes;

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
    }
}

message! {
    /// An attribute of an operation. Its kind says which field holds it.
    Attribute {
        /// The name.
        name: String = 1,
        /// One number.
        i: Option<i64> = 3,
        /// Several numbers.
        ints: Vec<i64> = 8,
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
        /// The name.
        name: String = 8,
        /// Its elements, little-endian.
        raw_data: Vec<u8> = 9,
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
}

impl ElementType {
    /// Its number.
    pub fn number(self) -> i64 {
        self as i64
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
elements!(f32: F32, u8: U8, i8: I8, i16: I16, i32: I32, i64: I64);

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
}

impl Tensor {
    /// An array of these axes.
    pub fn of<T: Element>(name: String, dims: &[usize], values: &[T]) -> Tensor {
        let mut raw_data = vec![0; size_of_val(values)];
        for (bytes, &value) in raw_data.chunks_exact_mut(size_of::<T>()).zip(values) {
            value.put(bytes);
        }
        let dims = dims.iter().map(|&n| n as i64).collect();
        Tensor { dims, data_type: Some(T::TYPE.number()), name, raw_data }
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
