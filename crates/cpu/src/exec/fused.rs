//! Steps that compute tile programs and store their values.

use super::adam::Adam;
use super::copy::store_strided;
use super::finite::any_not_finite;
use super::quick::Quick;
use super::tile::{TILE, TileProgram};
use super::{Run, Scratch};
use crate::exec::odometer::Odometer;
use crate::isa::Isa;
use ironlearn_ir::DType;
use ironlearn_ir::plan::{Home, Instr, Load, Plan, Program, Value, View};

/// Elements of a task: enough to be worth a thread's attention.
const GRAIN: usize = 16 * TILE;
/// Elements that are computed or stored, below which no thread is woken.
const SERIAL: usize = 8 * GRAIN;

struct Store {
    value: Value,
    to: View,
    dtype: DType,
    /// Computed in place: nothing to copy.
    direct: bool,
    contiguous: bool,
    checked: bool,
}

/// A fused step, ready to run.
pub struct Fused {
    program: TileProgram,
    /// In place of the program.
    adam: Option<Adam>,
    /// The program, where it is a single tile.
    quick: Option<Quick>,
    stores: Vec<Store>,
    dims: Vec<usize>,
    elements: usize,
    /// Too little for more than one thread.
    alone: bool,
}

impl Fused {
    pub fn new(isa: Isa, plan: &Plan, program: &Program, stores: &[(Value, View)]) -> Result<Fused, String> {
        // A value may be computed straight into memory unless an operand lies there that is read later on.
        let home = |view: &View| &plan.buffer(view.buffer).home;
        let moves = |h: &Home| matches!(h, Home::Arena(_) | Home::Block { .. });
        let last_use = |load: usize| {
            let uses = |i: &Instr| i.args.contains(&(load as Value));
            program.instrs.iter().rposition(uses).map_or(0, |i| program.loads.len() + i)
        };
        let read = |value: Value, to: &View| {
            program.loads.iter().enumerate().any(|(i, load)| match load {
                Load::Memory(v) if home(v) == home(to) && moves(home(to)) => {
                    !v.is_contiguous() || last_use(i) > value as usize
                }
                _ => false,
            })
        };
        let mut direct: Vec<(Value, View)> = Vec::new();
        for (value, to) in stores {
            if to.is_contiguous() && !read(*value, to) && !direct.iter().any(|d| d.0 == *value) {
                direct.push((*value, to.clone()));
            }
        }
        let kept: Vec<Value> = stores.iter().map(|s| s.0).collect();
        let compiled = TileProgram::new(isa, plan, program, &direct, &kept)?;
        let is_direct = |value: Value, to: &View| {
            value as usize >= program.loads.len() && direct.iter().any(|d| d.0 == value && d.1 == *to)
        };
        let views: Vec<View> = direct.iter().map(|d| d.1.clone()).collect();
        let quick = Quick::new(isa, plan, program, &compiled, &views);
        let adam = Adam::new(isa, plan, program, stores);
        let stores = stores.iter().map(|(value, to)| {
            let buffer = plan.buffer(to.buffer);
            Store {
                value: *value,
                to: to.clone(),
                dtype: buffer.dtype,
                direct: is_direct(*value, to),
                contiguous: to.is_contiguous(),
                checked: buffer.checked,
            }
        });
        let elements = program.dims.iter().product();
        let alone = elements <= GRAIN || elements * (program.instrs.len() + stores.len()) <= SERIAL;
        Ok(Fused {
            alone,
            program: compiled,
            quick: quick.filter(|_| adam.is_none()),
            adam,
            stores: stores.collect(),
            dims: program.dims.clone(),
            elements,
        })
    }

    pub fn scratch(&self) -> Scratch {
        Scratch { shared: 0, worker: self.program.scratch_bytes() }
    }

    pub fn run(&self, run: &Run<'_>) {
        if self.alone {
            let registers = run.worker(0);
            // SAFETY: as below, for the only task.
            return unsafe {
                match &self.quick {
                    Some(quick) => {
                        if !self.program.reads_in_place() {
                            self.program.prepare(run.addresses, registers, self.elements);
                        }
                        quick.run(run.addresses, registers);
                        self.store(run, registers, 0, self.elements);
                    }
                    None => self.range(run, registers, 0, self.elements),
                }
            };
        }
        let tasks = self.elements.div_ceil(GRAIN);
        run.each(tasks, |task, worker| {
            let (start, end) = (task * GRAIN, ((task + 1) * GRAIN).min(self.elements));
            // SAFETY: tasks write disjoint ranges of the index space; the plan's verifier has checked that
            // results lie over operands only element by element; each worker has its own registers.
            unsafe { self.range(run, run.worker(worker), start, end) };
        });
    }

    /// Computes a range of the index space on this thread.
    ///
    /// # Safety
    /// `registers` has the bytes of [`Fused::scratch`] that no other thread uses; no other thread writes what
    /// this range reads, or touches its results.
    pub unsafe fn range(&self, run: &Run<'_>, registers: *mut u8, start: usize, end: usize) {
        if let Some(adam) = &self.adam {
            // SAFETY: as the caller promises.
            if !unsafe { adam.run(run.addresses, start, end) } {
                run.mark_not_finite();
            }
            return;
        }
        // SAFETY: as the caller promises.
        unsafe {
            self.program.prepare(run.addresses, registers, end - start);
            let mut tile = start;
            while tile < end {
                let n = TILE.min(end - tile);
                self.program.run(run.addresses, registers, tile, n);
                self.store(run, registers, tile, n);
                tile += n;
            }
        }
    }

    /// Copies what was not computed in place, and checks.
    ///
    /// # Safety
    /// As for [`TileProgram::run`].
    unsafe fn store(&self, run: &Run<'_>, registers: *mut u8, start: usize, n: usize) {
        for s in self.stores.iter().filter(|s| s.checked || !s.direct) {
            let src = self.program.address(s.value, run.addresses, registers, start);
            if s.checked && any_not_finite(s.dtype, src, n) {
                run.mark_not_finite();
            }
            if s.direct {
                continue;
            }
            let size = s.dtype.size();
            if s.contiguous {
                let dst = run.addresses.element(s.to.buffer, s.to.offset + start, size);
                // SAFETY: as below.
                unsafe { std::ptr::copy(src, dst, n * size) };
                continue;
            }
            let base = run.addresses.element(s.to.buffer, 0, size);
            Odometer::at(&self.dims, start).runs(n, s.to.offset, &s.to.strides, |i, first, count, stride| {
                let dst = base.wrapping_offset(first * size as isize);
                // SAFETY: the plan's verifier has checked that the view stays inside its buffer, and that results
                // lie over operands only at the same place: then there is nothing to copy.
                unsafe {
                    if !std::ptr::eq(dst, src.add(i * size)) {
                        store_strided(dst, src.add(i * size), stride, count, size);
                    }
                }
            });
        }
    }
}
