//! Steps that move whole rows: gather, scatter-add, filling.

use super::Run;
use super::copy::store_strided;
use super::table::Table;
use crate::exec::odometer::Odometer;
use ironlearn_ir::lanes::NumLanes;
use ironlearn_ir::plan::{Plan, View};
use ironlearn_ir::prim::cast::{Convert, convert, from_f64};
use ironlearn_ir::{Complex32, Complex64, DType, bf16, dispatch, f16};

/// Extents `[outer, middle, inner]` of a view of rank 3.
pub fn extents(view: &View) -> [usize; 3] {
    [view.dims[0], view.dims[1], view.dims[2]]
}

/// An index read as a place on an axis of `len`, or the error that names it.
fn place<T: Convert>(index: *const u8, i: usize, len: usize) -> Result<usize, String> {
    // SAFETY: the index has more than `i` elements of this type.
    let wide: i64 = convert(unsafe { *index.cast::<T>().add(i) });
    let fits = usize::try_from(wide).ok().filter(|&p| p < len);
    fits.ok_or_else(|| format!("index {wide} at position {i} is outside of 0..{len}"))
}

fn reader(dtype: DType) -> fn(*const u8, usize, usize) -> Result<usize, String> {
    match dtype {
        DType::U8 => place::<u8>,
        DType::I32 => place::<i32>,
        DType::U32 => place::<u32>,
        _ => place::<i64>,
    }
}

/// Elements of a task, roughly.
const GRAIN: usize = 8192;

/// Calls `f` for each of `n` numbers, of which each stands for so many elements.
pub fn each_of(run: &Run<'_>, n: usize, elements: usize, f: impl Fn(usize) + Sync) {
    let group = (GRAIN / elements.max(1)).max(1);
    run.each(n.div_ceil(group), |task, _| (task * group..((task + 1) * group).min(n)).for_each(&f));
}

/// Rows picked by index.
pub struct Gather {
    pub x: View,
    pub index: View,
    pub out: View,
    pub dtype: DType,
    pub index_dtype: DType,
    /// In place of rows, where they are bytes of a short table.
    pub table: Option<Table>,
}

impl Gather {
    pub fn run(&self, run: &Run<'_>) {
        let ([outer, len, inner], count) = (extents(&self.x), self.index.elements());
        if let Some(table) = &self.table
            && table.run(self, run)
        {
            return;
        }
        let bytes = inner * self.dtype.size();
        let x = super::memory::Shared(run.addresses.element(self.x.buffer, self.x.offset, self.dtype.size()));
        let out =
            super::memory::Shared(run.addresses.element(self.out.buffer, self.out.offset, self.dtype.size()));
        let index = super::memory::Shared(run.addresses.element(
            self.index.buffer,
            self.index.offset,
            self.index_dtype.size(),
        ));
        let read = reader(self.index_dtype);
        let rows = (16_384 / bytes.max(1)).max(1);
        run.each((outer * count).div_ceil(rows), |task, _| {
            for row in task * rows..((task + 1) * rows).min(outer * count) {
                match read(index.at(0), row % count, len) {
                    // SAFETY: the row is inside `x`, whose extents the plan gives; rows of `out` are disjoint.
                    Ok(p) => unsafe {
                        let src = x.at((row / count * len + p) * bytes);
                        std::ptr::copy_nonoverlapping(src, out.at(row * bytes), bytes);
                    },
                    Err(message) => run.fail(message),
                }
            }
        });
    }
}

/// Rows added by index, in ascending order.
pub struct ScatterAdd {
    pub x: View,
    pub index: View,
    pub out: View,
    pub dtype: DType,
    pub index_dtype: DType,
}

impl ScatterAdd {
    pub fn run(&self, run: &Run<'_>) {
        match self.dtype {
            DType::F32 => self.run_as::<f32>(run, |a, b| a + b),
            DType::F64 => self.run_as::<f64>(run, |a, b| a + b),
            DType::F16 => self.run_as::<f16>(run, |a, b| a + b),
            DType::Bf16 => self.run_as::<bf16>(run, |a, b| a + b),
            DType::U8 => self.run_as::<u8>(run, NumLanes::plus),
            DType::I8 => self.run_as::<i8>(run, NumLanes::plus),
            DType::I16 => self.run_as::<i16>(run, NumLanes::plus),
            DType::I32 => self.run_as::<i32>(run, NumLanes::plus),
            DType::I64 => self.run_as::<i64>(run, NumLanes::plus),
            DType::U32 => self.run_as::<u32>(run, NumLanes::plus),
            DType::C64 => self.run_as::<Complex32>(run, |a, b| a + b),
            DType::C128 => self.run_as::<Complex64>(run, |a, b| a + b),
            DType::Bool => run.fail("`bool` tensors have no sums".into()),
        }
    }

    fn run_as<T: Copy + Default>(&self, run: &Run<'_>, add: impl Fn(T, T) -> T + Sync) {
        let ([outer, count, inner], len) = (extents(&self.x), self.out.dims[1]);
        let size = self.dtype.size();
        let x = super::memory::Shared(run.addresses.element(self.x.buffer, self.x.offset, size));
        let out = super::memory::Shared(run.addresses.element(self.out.buffer, self.out.offset, size));
        let index = run.addresses.element(self.index.buffer, self.index.offset, self.index_dtype.size());
        let index = super::memory::Shared(index);
        let read = reader(self.index_dtype);
        each_of(run, outer, count * inner, |o| {
            // SAFETY: one task owns all rows of an outer index; the extents are those of the views.
            unsafe {
                let to = out.at(o * len * inner * size).cast::<T>();
                std::slice::from_raw_parts_mut(to, len * inner).fill(T::default());
                for i in 0..count {
                    match read(index.at(0), i, len) {
                        Ok(p) => {
                            let row = std::slice::from_raw_parts_mut(to.add(p * inner), inner);
                            let from = x.at((o * count + i) * inner * size).cast::<T>();
                            for (sum, &v) in row.iter_mut().zip(std::slice::from_raw_parts(from, inner)) {
                                *sum = add(*sum, v);
                            }
                        }
                        Err(message) => run.fail(message),
                    }
                }
            }
        });
    }
}

/// Sets every element of a view to a number.
pub fn fill(plan: &Plan, out: &View, value: f64, run: &Run<'_>) {
    let dtype = plan.buffer(out.buffer).dtype;
    let size = dtype.size();
    let base = run.addresses.element(out.buffer, 0, size);
    dispatch!(dtype, T => {
        let x = from_f64::<T>(value);
        let src = (&raw const x).cast::<u8>();
        Odometer::at(&out.dims, 0).runs(out.elements(), out.offset, &out.strides, |_, first, count, stride| {
            for k in 0..count as isize {
                // SAFETY: the plan's verifier has checked that the view stays inside its buffer.
                unsafe { store_strided(base.wrapping_offset((first + k * stride) * size as isize), src, 1, 1, size) }
            }
        });
    });
}
