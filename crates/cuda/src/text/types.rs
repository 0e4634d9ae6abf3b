//! Element types and numbers in C++.

use ironlearn_ir::DType;

/// How an element lies in memory.
pub fn memory(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "il_f16",
        DType::Bf16 => "il_bf16",
        other => computed(other),
    }
}

/// The type that elements are computed in.
pub fn computed(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "bool",
        DType::U8 => "unsigned char",
        DType::I8 => "signed char",
        DType::I16 => "short",
        DType::I32 => "int",
        DType::I64 => "long long",
        DType::U32 => "unsigned",
        DType::F16 | DType::Bf16 | DType::F32 => "float",
        DType::F64 => "double",
        DType::C64 | DType::C128 => "complex",
    }
}

/// An error where the type has no kernels.
pub fn supported(dtype: DType) -> Result<(), String> {
    match dtype {
        DType::C64 | DType::C128 => Err(format!("`{dtype}` tensors: complex numbers are for the CPU")),
        _ => Ok(()),
    }
}

/// A number as the type that elements are computed in.
pub fn number(dtype: DType, value: f64) -> String {
    match dtype {
        DType::F64 => double(value),
        DType::F16 | DType::Bf16 | DType::F32 => float(value as f32),
        DType::Bool => (value != 0.0).to_string(),
        _ => format!("IlCast<{}>::of({})", memory(dtype), double(value)),
    }
}

fn float(value: f32) -> String {
    if value.is_finite() { format!("{value:?}f") } else { format!("__uint_as_float({}u)", value.to_bits()) }
}

fn double(value: f64) -> String {
    if value.is_finite() {
        format!("{value:?}")
    } else {
        format!("__longlong_as_double({}LL)", value.to_bits() as i64)
    }
}
