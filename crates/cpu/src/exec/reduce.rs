//! Sums and maxima over a tile program.
//!
//! A sum is cut into leaves by its length alone (see [`ironlearn_ir::plan::leaves`]); the elements of a leaf
//! are added in [`WIDTH`] running sums, which are then added as a balanced tree, as are the leaves. So the
//! result depends neither on threads nor on the instruction set.

use super::finite::any_not_finite;
use super::fold::{Leaf, Loops, SHORT, WIDTH, loops};
use super::tile::{TILE, TileProgram};
use super::{Run, Scratch};
use crate::isa::{Entry, Isa};
use ironlearn_ir::DType;
use ironlearn_ir::plan::{Fold, Plan, Program, Value, View, leaves};
use std::ops::Range;

/// Elements of a task, roughly.
const GRAIN: usize = 16 * TILE;

/// A reduction, ready to run.
pub struct Reduce {
    pub(super) program: TileProgram,
    pub(super) value: Value,
    pub(super) extent: [usize; 3],
    leaves: usize,
    /// Leaves of one task.
    group: usize,
    out: View,
    dtype: DType,
    checked: bool,
    loops: Loops,
}

impl Reduce {
    pub fn new(
        isa: Isa,
        plan: &Plan,
        program: &Program,
        value: Value,
        fold: Fold,
        extent: [usize; 3],
        out: &View,
    ) -> Result<Reduce, String> {
        let buffer = plan.buffer(out.buffer);
        Ok(Reduce {
            program: TileProgram::new(isa, plan, program, &[], &[value])?,
            value,
            extent,
            leaves: leaves::count(extent[1]),
            group: (GRAIN / (leaves::length(extent[1]) * extent[2]).max(1)).max(1),
            out: out.clone(),
            dtype: buffer.dtype,
            checked: buffer.checked,
            loops: loops(isa, fold, buffer.dtype)?,
        })
    }

    pub fn scratch(&self) -> Scratch {
        let partial = if self.leaves > 1 {
            self.extent[0] * self.leaves * self.extent[2] * self.dtype.size()
        } else {
            0
        };
        Scratch { shared: partial, worker: self.program.scratch_bytes() }
    }

    pub fn run(&self, run: &Run<'_>) {
        let outer = self.extent[0];
        if self.leaves > 1 {
            return self.run_leaves(run);
        }
        let tasks = if outer <= self.group { 1 } else { outer.div_ceil(self.group) };
        run.each(tasks, |task, worker| {
            let rows = task * self.group..((task + 1) * self.group).min(outer);
            // SAFETY: each task writes its own results; each worker has its own registers.
            unsafe { self.rows(run, run.worker(worker), rows) };
        });
    }

    /// Reduces leaf by leaf, then combines them.
    fn run_leaves(&self, run: &Run<'_>) {
        let [outer, len, inner] = self.extent;
        let (size, leaf) = (self.dtype.size(), leaves::length(len));
        let units = outer * self.leaves;
        let results = super::memory::Shared(run.shared());
        run.each(units.div_ceil(self.group), |task, worker| {
            let registers = run.worker(worker);
            // SAFETY: each unit writes its own results; each worker has its own registers.
            unsafe { self.program.prepare(run.addresses, registers, leaf * inner * self.group) };
            for unit in task * self.group..((task + 1) * self.group).min(units) {
                let (outer, l) = (unit / self.leaves, unit % self.leaves);
                let (start, end) = (l * leaf, ((l + 1) * leaf).min(len));
                let (dst, sums) = (results.at(unit * inner * size), std::ptr::null_mut());
                let (first, last) = (true, true);
                self.part(Leaf { reduce: self, run, registers, outer, start, end, dst, sums, first, last });
            }
        });
        let out = run.addresses.element(self.out.buffer, self.out.offset, size);
        for o in 0..outer {
            let from = results.at(o * self.leaves * inner * size);
            (self.loops.tree)(out.wrapping_add(o * inner * size), from, self.leaves, inner, inner);
        }
        if self.checked && any_not_finite(self.dtype, out, outer * inner) {
            run.mark_not_finite();
        }
    }
}

impl Reduce {
    fn part(&self, leaf: Leaf<'_>) {
        self.call(self.loops.leaf, leaf);
    }

    fn call(&self, entry: Entry<Leaf<'static>>, mut leaf: Leaf<'_>) {
        // SAFETY: the lifetime is only lengthened for the call; the routine keeps nothing.
        let leaf = unsafe { std::mem::transmute::<&mut Leaf<'_>, &mut Leaf<'static>>(&mut leaf) };
        entry.call(leaf);
    }

    /// Reduces the rows of some outer indices, of a reduction in one leaf each, on this thread.
    ///
    /// # Safety
    /// `registers` has the bytes of [`Reduce::scratch`] that no other thread uses; no other thread writes what
    /// the program reads, or touches the results of these indices.
    pub unsafe fn rows(&self, run: &Run<'_>, registers: *mut u8, outer: Range<usize>) {
        let ([_, len, inner], size) = (self.extent, self.dtype.size());
        // SAFETY: as the caller promises.
        unsafe { self.program.prepare(run.addresses, registers, outer.len() * len * inner) };
        let to = |outer: usize| run.addresses.element(self.out.buffer, self.out.offset + outer * inner, size);
        let (sums, first, last) = (std::ptr::null_mut(), true, true);
        if inner == 1 && len <= SHORT {
            let (start, end, dst) = (outer.start, outer.end, to(outer.start));
            let (reduce, outer) = (self, 0);
            self.call(
                self.loops.short,
                Leaf { reduce, run, registers, outer, start, end, dst, sums, first, last },
            );
        } else {
            for outer in outer.clone() {
                let (start, end, dst) = (0, len, to(outer));
                self.part(Leaf { reduce: self, run, registers, outer, start, end, dst, sums, first, last });
            }
        }
        if self.checked && any_not_finite(self.dtype, to(outer.start), outer.len() * inner) {
            run.mark_not_finite();
        }
    }

    /// Bytes of the running sums of an unfinished leaf, and of its results.
    pub fn waiting_bytes(&self) -> [usize; 2] {
        [WIDTH * self.dtype.size(), self.extent[2] * self.dtype.size()]
    }

    /// Adds the next rows of a leaf to its running sums, on this thread: from its first row on, or, where
    /// `first` is false, from where the call before ended, a multiple of 32 elements away from the first row.
    /// The results are there after the `last` rows.
    ///
    /// # Safety
    /// As for [`Reduce::rows`]; `sums` and `dst` have room for [`Reduce::waiting_bytes`] and are this leaf's own.
    pub unsafe fn next_rows(
        &self,
        run: &Run<'_>,
        registers: *mut u8,
        rows: Range<usize>,
        [first, last]: [bool; 2],
        [sums, dst]: [*mut u8; 2],
    ) {
        // SAFETY: as the caller promises.
        unsafe { self.program.prepare(run.addresses, registers, rows.len() * self.extent[2]) };
        let (outer, start, end) = (0, rows.start, rows.end);
        self.part(Leaf { reduce: self, run, registers, outer, start, end, dst, sums, first, last });
    }

    /// Where the results of all leaves belong, for the only outer index.
    pub fn out(&self, run: &Run<'_>) -> *mut u8 {
        run.addresses.element(self.out.buffer, self.out.offset, self.dtype.size())
    }

    /// Combines the results of later rows with those of earlier ones; gives `to` what they are where there is one.
    ///
    /// # Safety
    /// All three have room for results, which no other thread touches.
    pub unsafe fn add(&self, to: Option<*mut u8>, left: *mut u8, right: *const u8) {
        (self.loops.pair)(to.unwrap_or(left), left, right, self.extent[2]);
    }

    /// Looks at the results of all leaves, for the only outer index.
    pub fn check(&self, run: &Run<'_>) {
        if self.checked && any_not_finite(self.dtype, self.out(run), self.extent[2]) {
            run.mark_not_finite();
        }
    }
}
