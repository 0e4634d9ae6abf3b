//! Tile programs: chains of elementwise operations, run tile by tile so that values in between stay in the
//! cache.

use super::chain::{Chain, Chains};
use super::copy::{copy_strided, repeat};
use super::kernels::{Repeated, Tile, TileKernel, kernel};
use super::memory::Shared;
use super::odometer::{MAX_RANK, Odometer};
use super::random::Words;
use super::registers::{LINE, allocate};
use super::work::{Work, singles};
use crate::isa::Isa;
use ironlearn_ir::plan::{BufferId, Instr, Load, Plan, Program, Value, View};
use ironlearn_ir::prim::RandomBits;
use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::{DType, dispatch};

/// Elements of a tile: small enough that the registers of a program stay in the first-level cache.
pub const TILE: usize = 512;

/// Where a value of a tile program is while a tile is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// A register, from this byte on.
    Register(usize),
    /// In memory, contiguous over the index space: buffer, first element, bytes of an element.
    Direct(BufferId, usize, usize),
    /// In memory, one element for the whole index space: buffer, element, its bytes.
    Single(BufferId, usize, usize),
    /// In a register from this byte on, again and again after so many elements of so many bytes.
    Periodic(usize, usize, usize),
}

/// How an operand gets to where instructions read it.
pub enum Fill {
    /// Nothing to do: read in place.
    None,
    /// One element for the whole index space: filled once.
    Once(View, usize),
    /// Contiguous elements that repeat after so many: filled once.
    Periodic(View, usize, usize),
    /// Strided elements.
    Strided(View, usize),
    /// Positions as numbers.
    Index(DType, View),
    /// Random bits of positions.
    Random(RandomBits, [BufferId; 3], View),
}

impl Fill {
    /// True where the register keeps its elements for all tiles of a task.
    pub fn stays(&self) -> bool {
        matches!(self, Fill::None | Fill::Once(..) | Fill::Periodic(..))
    }
}

/// A step of a tile program: a kernel, and where its operands and its result are.
pub struct Instruction {
    pub kernel: TileKernel,
    pub arity: usize,
    pub args: [Place; 4],
    pub to: Place,
    /// Element types of the operands and of the result.
    pub dtype: DType,
    pub out: DType,
}

/// What a tile program does next.
pub enum Unit {
    One(Instruction),
    Chain(Chain),
}

/// A tile program, ready to run.
pub struct TileProgram {
    dims: Vec<usize>,
    fills: Vec<Fill>,
    /// The fills of every tile, and those of every task.
    each: Vec<usize>,
    once: Vec<usize>,
    pub units: Vec<Unit>,
    places: Vec<Place>,
    bytes: usize,
    isa: Isa,
}

/// Addresses of all buffers of a run.
#[derive(Clone)]
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
        let work = Work::all(isa, plan, program, kept);
        let elements: usize = program.dims.iter().product();
        let chains = if elements > TILE { Chains::new(isa, &work, kept) } else { Chains::default() };
        let single = singles(program, &work, &chains, kept);
        let read = |load: usize| {
            let mut read = kept.iter().chain(work.iter().flat_map(|w| &w.args));
            read.any(|&v| v as usize == load)
        };
        let mut fills = Vec::with_capacity(program.loads.len());
        for (i, load) in program.loads.iter().enumerate() {
            let how = if single[i] || !read(i) { Fill::None } else { fill(plan, load) };
            if let (Fill::None, Load::Memory(view)) = (&how, load) {
                let size = plan.buffer(view.buffer).dtype.size();
                let place = if single[i] { Place::Single } else { Place::Direct };
                places[i] = Some(place(view.buffer, view.offset, size));
            }
            fills.push(how);
        }
        let widest = (0..count).map(|v| program.dtype(v as Value, &plan.buffers).size()).max().unwrap_or(1);
        let bytes = allocate(&work, &fills, kept, &chains, TILE * widest + LINE, &mut places);
        let places: Vec<Place> = places.into_iter().map(|p| p.unwrap_or(Place::Register(0))).collect();
        let instruction = |work: &Work<'_>| -> Result<Instruction, String> {
            let arg = |k: usize| places[*work.args.get(k).unwrap_or(&work.args[0]) as usize];
            let args = [arg(0), arg(1), arg(2), arg(3)];
            let repeated = match args.map(|a| matches!(a, Place::Single(..))) {
                [true, ..] => Repeated::First,
                [_, true, ..] => Repeated::Second,
                _ => Repeated::Neither,
            };
            let kernel = work.codes.map_or_else(|| kernel(isa, work.instr, repeated), Ok)?;
            let Instr { dtype, out, .. } = *work.instr;
            let to = places[work.value as usize];
            Ok(Instruction { kernel, arity: work.args.len(), args, to, dtype, out })
        };
        let place = |value: Value| {
            let i = value as usize;
            (places[i], single.get(i) == Some(&true) || matches!(fills.get(i), Some(Fill::Once(..))))
        };
        let (mut units, mut i) = (Vec::with_capacity(work.len()), 0);
        while let Some(one) = work.get(i) {
            if let Some(range) = chains.from(i) {
                i = range.end;
                units.push(Unit::Chain(Chain::new(isa, plan, program, &work, &chains, range, place)?));
            } else {
                units.push(Unit::One(instruction(one)?));
                i += 1;
            }
        }
        let once = |i: &usize| matches!(fills[*i], Fill::Once(..) | Fill::Periodic(..));
        Ok(TileProgram {
            dims: program.dims.clone(),
            each: (0..fills.len()).filter(|&i| !fills[i].stays()).collect(),
            once: (0..fills.len()).filter(once).collect(),
            units,
            fills,
            places,
            bytes,
            isa,
        })
    }

    /// True where no operand is gathered for each tile.
    pub fn in_place(&self) -> bool {
        self.each.is_empty()
    }

    /// True where no operand is copied to registers for each task.
    pub fn reads_in_place(&self) -> bool {
        self.once.is_empty()
    }

    /// Bytes of registers that a worker needs.
    pub fn scratch_bytes(&self) -> usize {
        self.bytes
    }

    /// Where a value is when the tile that begins at flat index `start` has been computed.
    #[inline(always)]
    pub fn address(&self, value: Value, at: &Addresses, registers: *mut u8, start: usize) -> *mut u8 {
        self.places[value as usize].address(at, registers, start)
    }

    /// Fills the registers that stay as they are. Call once for each task, of `n` elements.
    ///
    /// # Safety
    /// `registers` has `scratch_bytes` bytes that no other thread uses; `at` holds valid addresses.
    #[inline]
    pub unsafe fn prepare(&self, at: &Addresses, registers: *mut u8, n: usize) {
        for &i in &self.once {
            let dst = self.address(i as Value, at, registers, 0);
            match &self.fills[i] {
                Fill::Once(view, size) => {
                    let src = at.element(view.buffer, view.offset, *size);
                    // SAFETY: one element is read, a register written.
                    unsafe { copy_strided(dst, src, 0, TILE.min(n), *size) }
                }
                Fill::Periodic(view, period, size) => {
                    let src = at.element(view.buffer, view.offset, *size);
                    // SAFETY: one period is read; the register has room for a tile and a period more.
                    unsafe { repeat(dst, src, period * size, (TILE.min(n) + period) * size) }
                }
                _ => {}
            }
        }
    }

    /// Computes the tile of `n` elements, at most [`TILE`], from flat index `start` on.
    ///
    /// # Safety
    /// As for [`TileProgram::prepare`], which was called before; no other thread writes what is read here, or
    /// reads what is written.
    pub unsafe fn run(&self, at: &Addresses, registers: *mut u8, start: usize, n: usize) {
        for &i in &self.each {
            let dst = self.address(i as Value, at, registers, start);
            match &self.fills[i] {
                Fill::None | Fill::Once(..) | Fill::Periodic(..) => {}
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
                    let scalars = scalars.map(|b| unsafe { *at.element(b, 0, 8).cast::<i64>() });
                    let dst = dst.cast::<u32>();
                    Odometer::at(&self.dims, start).runs(
                        n,
                        view.offset,
                        &view.strides,
                        |i, first, count, stride| {
                            // SAFETY: a register has room for a tile.
                            let out = unsafe { std::slice::from_raw_parts_mut(dst.add(i), count) };
                            self.isa.run(Words { bits, scalars, first, stride, out });
                        },
                    );
                }
            }
        }
        for unit in &self.units {
            let instruction = match unit {
                Unit::One(instruction) => instruction,
                Unit::Chain(chain) => {
                    // SAFETY: as the caller promises.
                    unsafe { chain.run(at, registers, start, n) };
                    continue;
                }
            };
            let address = |place: Place| place.address(at, registers, start).cast_const();
            let [a, b, c, d] = instruction.args;
            let a = address(a);
            // Pointer by pointer: an array that is copied as one is read before it is all written.
            let b = if instruction.arity > 1 { address(b) } else { a };
            let c = if instruction.arity > 2 { address(c) } else { a };
            let d = if instruction.arity > 3 { address(d) } else { a };
            let dst = instruction.to.address(at, registers, start);
            instruction.kernel.run(&mut Tile { dst, x: [a, b, c, d], n });
        }
    }
}

impl Place {
    /// The address for the tile that begins at flat index `start`.
    #[inline(always)]
    pub fn address(self, at: &Addresses, registers: *mut u8, start: usize) -> *mut u8 {
        match self {
            Place::Register(byte) => registers.wrapping_add(byte),
            Place::Direct(buffer, first, size) => at.element(buffer, first + start, size),
            Place::Single(buffer, element, size) => at.element(buffer, element, size),
            Place::Periodic(byte, period, size) => registers.wrapping_add(byte + start % period * size),
        }
    }
}

/// After how many elements a view over its index space repeats, where that is known and not too many: leading
/// axes of no stride, then contiguous ones.
fn period(view: &View) -> Option<usize> {
    let lead = view.dims.iter().zip(&view.strides).take_while(|(d, s)| **s == 0 || **d == 1).count();
    let rest =
        View { dims: view.dims[lead..].to_vec(), strides: view.strides[lead..].to_vec(), ..view.clone() };
    let period = rest.elements();
    (rest.is_contiguous() && period <= TILE).then_some(period)
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
            } else if let Some(period) = period(view) {
                Fill::Periodic(view.clone(), period, size)
            } else {
                Fill::Strided(view.clone(), size)
            }
        }
        Load::Index(dtype, view) => Fill::Index(*dtype, view.clone()),
        Load::Random(bits, scalars, view) => Fill::Random(bits.clone(), *scalars, view.clone()),
    }
}
