//! Constants and conversions.

use super::super::call::{Call, Found, one, shape_of};
use super::super::value::{Value, computed, floats, whole};
use super::Group;
use crate::io::onnx::ElementType;
use ironlearn_ir::{Array, DType, Kind, TensorType};
use std::rc::Rc;

/// The most elements of a range.
const MOST_IN_RANGE: usize = 1 << 20;

pub(super) const GROUP: Group = &[
    ("Cast", |c| {
        // The oldest operators name the type in words.
        c.attribute("to").and_then(|a| a.i).ok_or("its type `to` is no number")?;
        one(c.x(0)?.cast(c.element("to", DType::F32)?))
    }),
    ("CastLike", cast_like),
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("EyeLike", eye_like),
    ("Range", range),
];

/// Of the second input the type alone counts: what is known stays known.
fn cast_like<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let dtype = c.value(1)?.ty().dtype;
    if let Some(known) = c.value(0)?.few()
        && let Some(arrays) =
            computed(|tape| Ok(vec![tape.constant_of(Array::clone(known)).cast(dtype).into()]))?
    {
        return Ok(arrays.into_iter().map(Value::known).collect());
    }
    one(c.x(0)?.cast(dtype))
}

fn constant<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let list = |array: Result<Array, String>| array.map(|array| vec![Value::Known(Rc::new(array))]);
    if let Some(array) = c.array("value")? {
        return list(Ok(array));
    }
    let Some(attribute) = c.node.attribute.first() else { return Err("it has no value".into()) };
    match attribute.name.as_str() {
        "value_float" => list(Ok(Array::scalar(attribute.f.unwrap_or_default()))),
        "value_floats" => list(Array::of([attribute.floats.len()], attribute.floats.clone())),
        "value_int" => list(Ok(Array::scalar(attribute.i.unwrap_or_default()))),
        "value_ints" => list(Array::of([attribute.ints.len()], attribute.ints.clone())),
        other => Err(format!("its attribute {other} is not supported")),
    }
}

fn constant_of_shape<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let shape = shape_of(&c.numbers(0)?.ok_or("its shape is missing")?)?;
    let value = c.array("value")?.unwrap_or_else(|| Array::scalar(0f32));
    if value.shape().elements() != 1 {
        return Err(format!("a value of {}", value.shape()));
    }
    let number = floats(&value).first().copied().unwrap_or_default();
    one(c.tape.scalar_of(value.dtype(), number).broadcast_to(&shape))
}

fn range<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let dtype = c.value(0)?.ty().dtype;
    let too_many = |n: f64| format!("{n} elements, at most {MOST_IN_RANGE} are computed");
    if dtype.kind() == Kind::Float {
        let number = |i| Ok::<_, String>(c.constant(i)?.ok_or("a bound is missing")?);
        let (start, limit, delta) = (number(0)?, number(1)?, number(2)?);
        let count = ((limit - start) / delta).ceil().max(0.0);
        if count.is_nan() || count > MOST_IN_RANGE as f64 {
            return Err(too_many(count));
        }
        let values: Vec<f64> = (0..count as usize).map(|i| start + delta * i as f64).collect();
        let array = Array::of([values.len()], values)?;
        return one(c.tape.constant_of(array).cast(dtype));
    }
    let number =
        |i| Ok::<_, String>(whole(c.known(i)?.ok_or("a bound is missing")?).first().copied().unwrap_or(0));
    let (start, limit, delta) = (number(0)?, number(1)?, number(2)?);
    let distance = i128::from(limit) - i128::from(start);
    let delta = i128::from(delta);
    if delta == 0 {
        return Err("a step of 0".into());
    }
    let count = ((distance + delta - delta.signum()) / delta).max(0);
    if count > MOST_IN_RANGE as i128 {
        return Err(too_many(count as f64));
    }
    let values: Vec<i64> = (0..count).map(|i| (i128::from(start) + delta * i) as i64).collect();
    one(c.tape.constant_of(Array::of([values.len()], values)?).cast(dtype))
}

fn eye_like<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let ty = c.value(0)?.ty();
    if ty.shape.rank() != 2 {
        return Err(format!("it needs two axes, found {}", ty.shape));
    }
    let place = |axis| c.tape.iota_of(TensorType::new(DType::I64, ty.shape.clone()), axis);
    let shifted = place(0) + place(0).filled(c.int("k", 0) as f64);
    let dtype = match c.attribute("dtype").and_then(|a| a.i) {
        Some(number) => {
            ElementType::dtype(number).ok_or_else(|| format!("no arrays of {}", ElementType::name(number)))?
        }
        None => ty.dtype,
    };
    one(shifted.equal(place(1)).cast(dtype))
}
