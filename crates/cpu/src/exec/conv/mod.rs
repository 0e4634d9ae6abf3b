//! Convolution and its gradients.
//!
//! [`Slide`] computes convolutions and input gradients, image by image, without unfolding windows: a copy of the
//! image with its border is read in place by every element of the window. [`KernelGradient`] sums over images. Each is
//! written once over the [`Form`]s of elements: several small integers are multiplied at once.

mod across;
mod band;
mod form;
mod grid;
mod kernel_gradient;
mod slide;
mod sums;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vectors;

use super::finite::any_not_finite;
use super::memory::{ALIGN, Block, Shared, address};
use super::odometer::indices;
use super::tree::add_leaves;
use super::{Run, Scratch};
use crate::isa::Isa;
use band::Band;
#[cfg(target_arch = "x86_64")]
use form::Quads;
use form::{Form, Layout, Pairs, Same};
use ironlearn_ir::DType;
use ironlearn_ir::plan::{Home, Plan, View, leaves};
use ironlearn_ir::prim::{self, Part};
use kernel_gradient::{KernelGradient, Leaf};
use slide::Slide;

/// A convolution, ready to run.
pub struct Convolution {
    isa: Isa,
    conv: prim::Conv,
    kind: Kind,
    /// The panels of a kernel that is a constant, packed once for all runs.
    packed: Option<Block>,
    a: View,
    b: View,
    out: View,
    /// Element types of the operands and of the result.
    operands: DType,
    dtype: DType,
    layout: Layout,
    checked: bool,
}

/// Calls a generic expression with the form of some operands as `F`.
macro_rules! with_form {
    (as $F:ident: $form:ty; $body:expr) => {{
        type $F = $form;
        $body
    }};
    ($isa:expr, $operands:expr, $F:ident => $body:expr) => {
        match $operands {
            DType::F32 => with_form!(as $F: Same<f32>; $body),
            DType::F64 => with_form!(as $F: Same<f64>; $body),
            #[cfg(target_arch = "x86_64")]
            DType::I8 if form::has_quads($isa) => with_form!(as $F: Quads; $body),
            DType::I8 => with_form!(as $F: Pairs<i8>; $body),
            DType::I16 => with_form!(as $F: Pairs<i16>; $body),
            _ => with_form!(as $F: Same<i32>; $body),
        }
    };
}

enum Kind {
    Slide(Slide),
    KernelGradient(KernelGradient),
}

impl Convolution {
    pub fn new(
        isa: Isa,
        plan: &Plan,
        conv: &prim::Conv,
        a: &View,
        b: &View,
        out: &View,
    ) -> Result<Convolution, String> {
        let buffer = plan.buffer(out.buffer);
        let y = conv.output()?;
        let operands = plan.buffer(a.buffer).dtype;
        let layout = with_form!(isa, operands, F => <F as Form>::layout(isa));
        let kind = match conv.part {
            Part::GradKernel => Kind::KernelGradient(KernelGradient::new(conv, &y, layout)),
            _ => Kind::Slide(Slide::new(conv, &y, layout)),
        };
        let packed = match (&kind, &plan.buffer(b.buffer).home) {
            (Kind::Slide(slide), Home::Constant(kernel)) => {
                let block = Block::new(slide.panels * layout.bytes, "packed constants");
                let block = block.map_err(|e| e.to_string())?;
                let from = address(kernel.data().view()).wrapping_add(b.offset * operands.size());
                with_form!(isa, operands, F => for task in 0..slide.packings() {
                    // SAFETY: the operand is the kernel, of which the plan's verifier has checked the view; the block has
                    // room for the panels.
                    unsafe { slide.pack::<F>(conv, task, from.cast(), block.start().cast()) }
                });
                Some(block)
            }
            _ => None,
        };
        Ok(Convolution {
            isa,
            conv: conv.clone(),
            kind,
            packed,
            a: a.clone(),
            b: b.clone(),
            out: out.clone(),
            operands,
            dtype: buffer.dtype,
            layout,
            checked: buffer.checked,
        })
    }

    pub fn scratch(&self) -> Scratch {
        let size = self.dtype.size();
        match &self.kind {
            Kind::Slide(s) => Scratch {
                shared: if self.packed.is_some() { 0 } else { aligned(s.panels * self.layout.bytes) },
                worker: self.grid_bytes(s) + aligned(s.results * size),
            },
            Kind::KernelGradient(k) => Scratch {
                shared: leaves::of_batch(k.images) * aligned(k.sum_elements() * size),
                worker: aligned(k.grid_bytes()) + aligned(k.packed_bytes()),
            },
        }
    }

    /// Bytes that the step owns itself.
    pub fn memory_bytes(&self) -> usize {
        self.packed.as_ref().map_or(0, Block::bytes)
    }

    /// Bytes of the copy of a band.
    fn grid_bytes(&self, s: &Slide) -> usize {
        aligned(s.grid.cells(s.cells()) * self.layout.bytes)
    }

    pub fn run(&self, run: &Run<'_>) {
        with_form!(self.isa, self.operands, F => match &self.kind {
            Kind::Slide(slide) => self.slide::<F>(slide, run),
            Kind::KernelGradient(gradient) => self.kernel_gradient::<F>(gradient, run),
        });
        let out = run.addresses.element(self.out.buffer, self.out.offset, self.dtype.size());
        if self.checked && any_not_finite(self.dtype, out, self.out.elements()) {
            run.mark_not_finite();
        }
    }

    /// Where the operands and the result are.
    fn addresses(&self, run: &Run<'_>) -> [Shared; 3] {
        let at = |v: &View, dtype: DType| Shared(run.addresses.element(v.buffer, v.offset, dtype.size()));
        [at(&self.a, self.operands), at(&self.b, self.operands), at(&self.out, self.dtype)]
    }

    fn slide<F: Form>(&self, s: &Slide, run: &Run<'_>) {
        let [from, kernel, to] = self.addresses(run);
        let panels = Shared(self.packed.as_ref().map_or(run.shared(), Block::start));
        if self.packed.is_none() {
            run.each(s.packings(), |task, _| {
                // SAFETY: the operand is the kernel; `scratch` made room for the panels, of which each task has its own.
                unsafe { s.pack::<F>(&self.conv, task, kernel.at(0).cast(), panels.at(0).cast()) }
            });
        }
        let (source, target) = (s.groups * s.source * s.source_plane, s.groups * s.target * s.target_plane);
        let results = self.grid_bytes(s);
        run.each(s.images * s.bands, |task, worker| {
            let (image, band) = (task / s.bands, task % s.bands);
            let scratch = Shared(run.worker(worker));
            let band = Band::<F> {
                slide: s,
                band,
                from: from.at(image * source * size_of::<F::Elem>()).cast(),
                panels: panels.at(0).cast(),
                to: to.at(image * target * size_of::<F::Sum>()).cast(),
                grid: scratch.at(0).cast(),
                results: scratch.at(results).cast(),
            };
            // SAFETY: operand and result are contiguous tensors of the shapes that the slide was made from, tasks
            // write disjoint bands, and every worker has its own scratch memory.
            unsafe { F::run(self.isa, band) }
        });
    }

    fn kernel_gradient<F: Form>(&self, k: &KernelGradient, run: &Run<'_>) {
        let size = size_of::<F::Sum>();
        let [x, g, to] = self.addresses(run);
        let leaves = leaves::of_batch(k.images);
        let (each, elements) = (k.images.div_ceil(leaves), k.sum_elements());
        let pitch = aligned(elements * size);
        let partial = Shared(run.shared());
        let packed = aligned(k.grid_bytes());
        run.each(leaves, |leaf, worker| {
            let scratch = Shared(run.worker(worker));
            let leaf = Leaf::<F> {
                gradient: k,
                images: (leaf * each).min(k.images)..((leaf + 1) * each).min(k.images),
                x: x.at(0).cast(),
                g: g.at(0).cast(),
                sum: partial.at(leaf * pitch).cast(),
                grid: scratch.at(0).cast(),
                packed: scratch.at(packed).cast(),
            };
            // SAFETY: as in `slide`, with a sum for each leaf.
            unsafe { F::run(self.isa, leaf) }
        });
        // SAFETY: `partial` holds a sum for each leaf; the first is read, element by element, before it is written.
        unsafe {
            add_leaves::<F::Sum>(partial.at(0), partial.at(0), leaves, elements, pitch / size);
            k.write::<F::Sum>(partial.at(0).cast(), to.at(0).cast());
        }
    }
}

/// Bytes that begin a part of scratch memory after so many.
fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGN)
}
