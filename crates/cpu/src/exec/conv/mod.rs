//! Convolution and its gradients.
//!
//! [`Slide`] computes convolutions and input gradients, image by image, without unfolding windows: a copy of the
//! image with its border is read in place by every element of the window. [`KernelGradient`] sums over images.

mod across;
mod band;
mod grid;
mod kernel_gradient;
mod slide;
mod sums;
#[cfg(test)]
mod tests;

use super::finite::any_not_finite;
use super::memory::{ALIGN, Shared};
use super::odometer::indices;
use super::tree::add_leaves;
use super::{Run, Scratch};
use crate::isa::{Isa, Kernel};
use band::Band;
use ironlearn_ir::DType;
use ironlearn_ir::lanes::NumLanes;
use ironlearn_ir::plan::{Plan, View, leaves};
use ironlearn_ir::prim::{self, Part};
use kernel_gradient::{KernelGradient, Leaf};
use slide::Slide;

/// A convolution, ready to run.
pub struct Convolution {
    isa: Isa,
    conv: prim::Conv,
    kind: Kind,
    a: View,
    b: View,
    out: View,
    dtype: DType,
    checked: bool,
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
        let registers = sums::registers(isa, buffer.dtype);
        let kind = match conv.part {
            Part::GradKernel => Kind::KernelGradient(KernelGradient::new(conv, &y, registers.0)),
            _ => Kind::Slide(Slide::new(conv, &y, registers, buffer.dtype.size())),
        };
        Ok(Convolution {
            isa,
            conv: conv.clone(),
            kind,
            a: a.clone(),
            b: b.clone(),
            out: out.clone(),
            dtype: buffer.dtype,
            checked: buffer.checked,
        })
    }

    pub fn scratch(&self) -> Scratch {
        let bytes = |n: usize| (n * self.dtype.size()).next_multiple_of(ALIGN);
        match &self.kind {
            Kind::Slide(s) => Scratch {
                shared: bytes(s.panels),
                worker: bytes(s.grid.elements(s.source)) + bytes(s.results),
            },
            Kind::KernelGradient(k) => Scratch {
                shared: leaves::of_batch(k.images) * bytes(k.sum_elements()),
                worker: bytes(k.grid_elements()) + bytes(k.packed_elements()),
            },
        }
    }

    pub fn run(&self, run: &Run<'_>) {
        match self.dtype {
            DType::F32 => self.run_as::<f32>(run),
            DType::F64 => self.run_as::<f64>(run),
            _ => self.run_as::<i32>(run),
        }
        let out = run.addresses.element(self.out.buffer, self.out.offset, self.dtype.size());
        if self.checked && any_not_finite(self.dtype, out, self.out.elements()) {
            run.mark_not_finite();
        }
    }

    fn run_as<T: NumLanes + Default>(&self, run: &Run<'_>)
    where
        for<'a> Band<'a, T>: Kernel<Out = ()>,
        for<'a> Leaf<'a, T>: Kernel<Out = ()>,
    {
        match &self.kind {
            Kind::Slide(slide) => self.slide::<T>(slide, run),
            Kind::KernelGradient(gradient) => self.kernel_gradient::<T>(gradient, run),
        }
    }

    fn address(&self, view: &View, run: &Run<'_>) -> Shared {
        Shared(run.addresses.element(view.buffer, view.offset, self.dtype.size()))
    }

    fn slide<T: NumLanes + Default>(&self, s: &Slide, run: &Run<'_>)
    where
        for<'a> Band<'a, T>: Kernel<Out = ()>,
    {
        let size = size_of::<T>();
        let (from, kernel, to) =
            (self.address(&self.a, run), self.address(&self.b, run), self.address(&self.out, run));
        let panels = Shared(run.shared());
        run.each(s.packings(), |task, _| {
            // SAFETY: the operand is the kernel; `scratch` made room for the panels, of which each task has its own.
            unsafe { s.pack::<T>(&self.conv, task, kernel.at(0).cast(), panels.at(0).cast()) }
        });
        let results = (s.grid.elements(s.source) * size).next_multiple_of(ALIGN);
        run.each(s.images * s.bands, |task, worker| {
            let (image, band) = (task / s.bands, task % s.bands);
            let scratch = Shared(run.worker(worker));
            // Operand and result are contiguous tensors of the shapes that the slide was made from, tasks write
            // disjoint bands, and every worker has its own scratch memory.
            self.isa.run(Band::<T> {
                slide: s,
                band,
                from: from.at(image * s.groups * s.source * s.source_plane * size).cast(),
                panels: panels.at(0).cast(),
                to: to.at(image * s.groups * s.target * s.target_plane * size).cast(),
                grid: scratch.at(0).cast(),
                results: scratch.at(results).cast(),
            });
        });
    }

    fn kernel_gradient<T: NumLanes + Default>(&self, k: &KernelGradient, run: &Run<'_>)
    where
        for<'a> Leaf<'a, T>: Kernel<Out = ()>,
    {
        let size = size_of::<T>();
        let (x, g, to) =
            (self.address(&self.a, run), self.address(&self.b, run), self.address(&self.out, run));
        let leaves = leaves::of_batch(k.images);
        let (each, elements) = (k.images.div_ceil(leaves), k.sum_elements());
        let pitch = (elements * size).next_multiple_of(ALIGN);
        let partial = Shared(run.shared());
        let packed = (k.grid_elements() * size).next_multiple_of(ALIGN);
        run.each(leaves, |leaf, worker| {
            let scratch = Shared(run.worker(worker));
            // As in `slide`, with a sum for each leaf.
            self.isa.run(Leaf::<T> {
                gradient: k,
                images: (leaf * each).min(k.images)..((leaf + 1) * each).min(k.images),
                x: x.at(0).cast(),
                g: g.at(0).cast(),
                sum: partial.at(leaf * pitch).cast(),
                grid: scratch.at(0).cast(),
                packed: scratch.at(packed).cast(),
            });
        });
        // SAFETY: `partial` holds a sum for each leaf; the first is read, element by element, before it is written.
        unsafe {
            add_leaves::<T>(partial.at(0), partial.at(0), leaves, elements, pitch / size);
            k.write::<T>(partial.at(0).cast(), to.at(0).cast());
        }
    }
}
