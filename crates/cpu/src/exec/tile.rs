//! Tile programs: chains of elementwise operations, run tile by tile so that values in between stay in the
//! cache.

use super::kernels::{Tile, TileKernel, kernel};
use super::memory::Shared;
use super::odometer::{MAX_RANK, Odometer};
use crate::isa::Isa;
use ironlearn_ir::plan::{BufferId, Load, Plan, Program, Value, View};
use ironlearn_ir::prim::RandomBits;
use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::{DType, dispatch};

/// Elements of a tile: small enough that the registers of a program stay in the first-level cache.
pub const TILE: usize = 512;
/// Bytes of one register: a tile of the widest element type.
const REGISTER: usize = TILE * 16;

/// Where a value of a tile program is while a tile is computed.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// A register, by number.
    Register(usize),
    /// In memory, contiguous over the index space: buffer, first element, bytes of an element.
    Direct(BufferId, usize, usize),
}

enum Fill {
    /// Nothing to do: read in place.
    None,
    /// One element for the whole index space: filled once.
    Once(View, usize),
    /// Strided elements.
    Strided(View, usize),
    /// Positions as numbers.
    Index(DType, View),
    /// Random bits of positions.
    Random(RandomBits, [BufferId; 3], View),
}

struct Instruction {
    kernel: TileKernel,
    args: [Value; 3],
    value: Value,
}

/// A tile program, ready to run.
pub struct TileProgram {
    dims: Vec<usize>,
    fills: Vec<Fill>,
    instructions: Vec<Instruction>,
    places: Vec<Place>,
    registers: usize,
}

/// Addresses of all buffers of a run.
pub struct Addresses(pub Vec<Shared>);

impl Addresses {
    /// The address of an element.
    #[inline(always)]
    pub fn element(&self, buffer: BufferId, element: usize, size: usize) -> *mut u8 {
        self.0[buffer.0 as usize].at(element * size)
    }
}

impl TileProgram {
    /// Compiles a program. `direct` gives values that may be computed straight into a contiguous view; `kept`
    /// those that are needed after the last instruction.
    pub fn new(
        isa: Isa,
        plan: &Plan,
        program: &Program,
        direct: &[(Value, View)],
        kept: &[Value],
    ) -> Result<TileProgram, String> {
        if program.dims.len() > MAX_RANK {
            return Err(format!("an operation over {} axes; the most is {MAX_RANK}", program.dims.len()));
        }
        let count = program.loads.len() + program.instrs.len();
        let mut places = vec![None; count];
        for (value, view) in direct.iter().filter(|(v, _)| *v as usize >= program.loads.len()) {
            let size = plan.buffer(view.buffer).dtype.size();
            places[*value as usize] = Some(Place::Direct(view.buffer, view.offset, size));
        }
        let fills: Vec<Fill> = program.loads.iter().map(|load| fill(plan, load)).collect();
        for (i, load) in program.loads.iter().enumerate() {
            if let (Fill::None, Load::Memory(view)) = (&fills[i], load) {
                places[i] =
                    Some(Place::Direct(view.buffer, view.offset, plan.buffer(view.buffer).dtype.size()));
            }
        }
        let registers = allocate(program, &fills, kept, &mut places);
        let mut instructions = Vec::with_capacity(program.instrs.len());
        for (i, instr) in program.instrs.iter().enumerate() {
            let arg = |k: usize| *instr.args.get(k).unwrap_or(&instr.args[0]);
            let value = (program.loads.len() + i) as Value;
            instructions.push(Instruction {
                kernel: kernel(isa, instr)?,
                args: [arg(0), arg(1), arg(2)],
                value,
            });
        }
        let places = places.into_iter().map(|p| p.unwrap_or(Place::Register(0))).collect();
        Ok(TileProgram { dims: program.dims.clone(), fills, instructions, places, registers })
    }

    /// Bytes of registers that a worker needs.
    pub fn scratch_bytes(&self) -> usize {
        self.registers * REGISTER
    }

    /// Where a value is when the tile that begins at flat index `start` has been computed.
    #[inline(always)]
    pub fn address(&self, value: Value, at: &Addresses, registers: *mut u8, start: usize) -> *mut u8 {
        match self.places[value as usize] {
            Place::Register(r) => registers.wrapping_add(r * REGISTER),
            Place::Direct(buffer, first, size) => at.element(buffer, first + start, size),
        }
    }

    /// Fills the registers that hold one element for the whole index space. Call once for each task.
    ///
    /// # Safety
    /// `registers` has `scratch_bytes` bytes that no other thread uses; `at` holds valid addresses.
    pub unsafe fn prepare(&self, at: &Addresses, registers: *mut u8) {
        for (i, fill) in self.fills.iter().enumerate() {
            if let Fill::Once(view, size) = fill {
                let src = at.element(view.buffer, view.offset, *size);
                let dst = self.address(i as Value, at, registers, 0);
                // SAFETY: one element is read, a register written.
                unsafe { copy_strided(dst, src, 0, TILE, *size) }
            }
        }
    }

    /// Computes the tile of `n` elements, at most [`TILE`], from flat index `start` on.
    ///
    /// # Safety
    /// As for [`TileProgram::prepare`], which was called before; no other thread writes what is read here, or
    /// reads what is written.
    pub unsafe fn run(&self, at: &Addresses, registers: *mut u8, start: usize, n: usize) {
        for (i, fill) in self.fills.iter().enumerate() {
            let dst = self.address(i as Value, at, registers, start);
            match fill {
                Fill::None | Fill::Once(..) => {}
                Fill::Strided(view, size) => {
                    let base = at.element(view.buffer, 0, *size);
                    Odometer::at(&self.dims, start).runs(
                        n,
                        view.offset,
                        &view.strides,
                        |i, first, count, stride| {
                            let src = base.wrapping_offset(first * *size as isize);
                            // SAFETY: the plan's verifier has checked that the view stays inside its buffer.
                            unsafe { copy_strided(dst.add(i * size), src, stride, count, *size) }
                        },
                    );
                }
                Fill::Index(dtype, view) => dispatch!(*dtype, T => {
                    let dst = dst.cast::<T>();
                    Odometer::at(&self.dims, start).runs(n, view.offset, &view.strides, |i, first, count, stride| {
                        for k in 0..count {
                            let number = T::narrow(Wide::Int((first + k as isize * stride) as i64));
                            // SAFETY: a register has room for a tile.
                            unsafe { *dst.add(i + k) = number }
                        }
                    });
                }),
                Fill::Random(bits, scalars, view) => {
                    // SAFETY: the three scalars are `i64`.
                    let [seed, step, row] = scalars.map(|b| unsafe { *at.element(b, 0, 8).cast::<i64>() });
                    let dst = dst.cast::<u32>();
                    Odometer::at(&self.dims, start).runs(
                        n,
                        view.offset,
                        &view.strides,
                        |i, first, count, stride| {
                            // SAFETY: a register has room for a tile.
                            let out = unsafe { std::slice::from_raw_parts_mut(dst.add(i), count) };
                            if stride == 1 {
                                bits.fill(seed, step, row, first as usize, out);
                            } else {
                                for (k, one) in out.iter_mut().enumerate() {
                                    let place = (first + k as isize * stride) as usize;
                                    bits.fill(seed, step, row, place, std::slice::from_mut(one));
                                }
                            }
                        },
                    );
                }
            }
        }
        for instruction in &self.instructions {
            let x = instruction.args.map(|v| self.address(v, at, registers, start).cast_const());
            let dst = self.address(instruction.value, at, registers, start);
            instruction.kernel.run(&mut Tile { dst, x, n });
        }
    }
}

/// How an operand gets to where instructions read it.
fn fill(plan: &Plan, load: &Load) -> Fill {
    match load {
        Load::Memory(view) => {
            let size = plan.buffer(view.buffer).dtype.size();
            if view.is_contiguous() {
                Fill::None
            } else if view.strides.iter().all(|&s| s == 0) {
                Fill::Once(view.clone(), size)
            } else {
                Fill::Strided(view.clone(), size)
            }
        }
        Load::Index(dtype, view) => Fill::Index(*dtype, view.clone()),
        Load::Random(bits, scalars, view) => Fill::Random(bits.clone(), *scalars, view.clone()),
    }
}

/// Gives a register to every value that has no place, free again after its last use. Values that are filled
/// once, or needed after the last instruction, keep theirs.
fn allocate(program: &Program, fills: &[Fill], kept: &[Value], places: &mut [Option<Place>]) -> usize {
    let loads = program.loads.len();
    let mut last = vec![usize::MAX; places.len()];
    for (i, instr) in program.instrs.iter().enumerate() {
        for &a in &instr.args {
            last[a as usize] = i;
        }
    }
    let mut count = 0;
    let mut free: Vec<usize> = Vec::new();
    let mut take = |free: &mut Vec<usize>| {
        free.pop().unwrap_or_else(|| {
            count += 1;
            count - 1
        })
    };
    for place in places[..loads].iter_mut().filter(|p| p.is_none()) {
        *place = Some(Place::Register(take(&mut free)));
    }
    for (i, instr) in program.instrs.iter().enumerate() {
        let value = loads + i;
        if places[value].is_none() {
            places[value] = Some(Place::Register(take(&mut free)));
        }
        // Operands give their registers back only after the result has one: with element types of different
        // size a result must not lie over an operand.
        let mut done: Vec<usize> = instr.args.iter().map(|&a| a as usize).collect();
        done.sort_unstable();
        done.dedup();
        for a in done.into_iter().filter(|&a| last[a] == i && !kept.contains(&(a as Value))) {
            let once = a < loads && matches!(fills[a], Fill::Once(..));
            if let (Some(Place::Register(r)), false) = (places[a], once) {
                free.push(r);
            }
        }
    }
    count
}

/// Copies `n` elements of `size` bytes that lie `stride` elements apart to contiguous memory.
///
/// # Safety
/// All elements read are inside one allocation, `dst` has room for `n`, and they do not overlap.
#[inline]
pub unsafe fn copy_strided(dst: *mut u8, src: *const u8, stride: isize, n: usize, size: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        if stride == 1 {
            return std::ptr::copy_nonoverlapping(src, dst, n * size);
        }
        match size {
            1 => spread::<u8>(dst, src, 1, stride, n),
            2 => spread::<u16>(dst, src, 1, stride, n),
            4 => spread::<u32>(dst, src, 1, stride, n),
            8 => spread::<u64>(dst, src, 1, stride, n),
            _ => spread::<[u64; 2]>(dst, src, 1, stride, n),
        }
    }
}

/// Copies `n` contiguous elements of `size` bytes to places that lie `stride` elements apart.
///
/// # Safety
/// As for [`copy_strided`], the other way round.
#[inline]
pub unsafe fn store_strided(dst: *mut u8, src: *const u8, stride: isize, n: usize, size: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        if stride == 1 {
            return std::ptr::copy_nonoverlapping(src, dst, n * size);
        }
        match size {
            1 => spread::<u8>(dst, src, stride, 1, n),
            2 => spread::<u16>(dst, src, stride, 1, n),
            4 => spread::<u32>(dst, src, stride, 1, n),
            8 => spread::<u64>(dst, src, stride, 1, n),
            _ => spread::<[u64; 2]>(dst, src, stride, 1, n),
        }
    }
}

/// # Safety
/// As for [`copy_strided`].
#[inline(always)]
unsafe fn spread<T: Copy>(dst: *mut u8, src: *const u8, to: isize, from: isize, n: usize) {
    let (dst, src) = (dst.cast::<T>(), src.cast::<T>());
    if from == 0 {
        // SAFETY: one element is read, `n` are written.
        let x = unsafe { src.read_unaligned() };
        for i in 0..n as isize {
            // SAFETY: as above.
            unsafe { dst.offset(i * to).write_unaligned(x) }
        }
        return;
    }
    for i in 0..n as isize {
        // SAFETY: as the caller promises.
        unsafe { dst.offset(i * to).write_unaligned(src.offset(i * from).read_unaligned()) }
    }
}
