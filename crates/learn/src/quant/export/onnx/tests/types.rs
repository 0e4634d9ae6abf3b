//! The element types of a graph's values, by the rules of its operators.

use crate::io::onnx::{Attribute, ElementType, Node, Tensor, ValueInfo};
use std::collections::HashMap;

/// Of a comparison; the other types are those of arrays that are known.
const BOOL: i64 = 9;

/// Types of values by name.
#[derive(Default)]
pub struct Types(HashMap<String, i64>);

impl Types {
    /// Takes a constant, whose bytes have to be those of its elements.
    pub fn constant(&mut self, tensor: &Tensor) {
        let of = tensor.data_type.unwrap();
        let size = match of {
            2 | 3 => 1,
            5 => 2,
            1 | 6 => 4,
            7 => 8,
            _ => panic!("{} has elements of type {of}", tensor.name),
        };
        assert_eq!(
            tensor.dims.iter().product::<i64>() * size,
            tensor.raw_data.len() as i64,
            "{}",
            tensor.name
        );
        self.0.insert(tensor.name.clone(), of);
    }

    /// Takes an input.
    pub fn given(&mut self, input: &ValueInfo) {
        self.0.insert(input.name.clone(), declared(input));
    }

    /// An output has the type that it is declared to have.
    pub fn expected(&self, output: &ValueInfo) {
        assert_eq!(self.0[&output.name], declared(output), "{}", output.name);
    }

    /// Takes an operator, whose operands have to have types that it has.
    pub fn node(&mut self, node: &Node) {
        let types: Vec<i64> = node.input.iter().map(|input| self.0[input]).collect();
        let result = result(node, &types);
        let result =
            result.unwrap_or_else(|| panic!("{}: no {} of types {types:?}", node.name, node.op_type));
        self.0.insert(node.output[0].clone(), result);
    }
}

fn declared(info: &ValueInfo) -> i64 {
    info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).and_then(|t| t.elem_type).unwrap()
}

/// The result's type, where there is such an operator in onnxruntime.
fn result(node: &Node, types: &[i64]) -> Option<i64> {
    let [f32, u8, i8, i16, i32, i64] = [
        ElementType::F32,
        ElementType::U8,
        ElementType::I8,
        ElementType::I16,
        ElementType::I32,
        ElementType::I64,
    ]
    .map(ElementType::number);
    let same = types.iter().all(|&t| t == types[0]);
    let among = |of: &[i64]| same.then_some(types[0]).filter(|t| of.contains(t));
    match (node.op_type.as_str(), types) {
        ("Add" | "Sub" | "Mul" | "Div" | "MatMul", [_, _]) => among(&[f32, i32, i64]),
        ("Mod" | "Min" | "Max", [_, _]) => among(&[i32, i64]),
        ("Equal" | "Less" | "Greater" | "GreaterOrEqual", [_, _]) => among(&[i32, i64]).map(|_| BOOL),
        ("Where", [BOOL, a, b]) => (a == b && [f32, i32, i64].contains(a)).then_some(*a),
        ("Clip", [_, _, _]) => among(&[f32, u8, i32, i64]),
        ("Round" | "Softmax", [t]) => (*t == f32).then_some(f32),
        ("Conv" | "Gemm", [_, _, ..]) => among(&[f32]),
        ("Cast", [_]) => node.attribute.iter().find(|a: &&Attribute| a.name == "to")?.i,
        ("MatMulInteger" | "ConvInteger", [_, _, _, _]) => among(&[u8]).map(|_| i32),
        ("MaxPool", [t]) => [f32, u8].contains(t).then_some(*t),
        ("ReduceSum" | "ReduceMax", [t, axes]) => (*axes == i64 && [i32, i64].contains(t)).then_some(*t),
        ("Gather", [t, index]) => [i32, i64].contains(index).then_some(*t),
        ("Pad", [t, pads, value]) => (*pads == i64 && t == value && *t == u8).then_some(*t),
        ("Slice", [t, rest @ ..]) => (rest == [i64; 3]).then_some(*t),
        ("Reshape", [t, shape]) => (*shape == i64).then_some(*t),
        ("Transpose" | "Identity", [t]) => Some(*t),
        ("Concat" | "Sum", _) => same.then_some(types[0]),
        ("QuantizeLinear", [x, scale, zero]) => {
            (*x == f32 && *scale == f32 && [u8, i16].contains(zero)).then_some(*zero)
        }
        ("DequantizeLinear", [x, scale, zero]) => {
            (*scale == f32 && x == zero && [u8, i8, i16, i32].contains(x)).then_some(f32)
        }
        _ => None,
    }
}
