//! [`Kernel`]: its text, its arguments, its launch; and several steps of a plan as one.

use super::{Argument, Of, Writer, types};
use crate::driver::Shape;
use ironlearn_ir::{Graph, NodeId};
use std::fmt::Write;

/// The most arguments of a kernel that computes several steps.
const MOST_ARGUMENTS: usize = 200;
/// Threads of a block that computes several steps one after the other.
const THREADS: u32 = 512;
/// The most turns in which it does the blocks of a step, as many at a time as it has threads for.
const MOST_TURNS: u32 = 3;

/// One kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Its name in the text.
    pub name: String,
    /// What stands before it: types of its own.
    pub(super) types: String,
    /// What it computes.
    parts: Vec<Part>,
    /// Its arguments; the state of the run comes last.
    pub arguments: Vec<Argument>,
    /// How it is launched.
    pub shape: Shape,
    /// Bytes of scratch memory.
    pub scratch: usize,
    /// Counters of its own.
    pub counters: usize,
    /// Where it picks by an index from data, for messages.
    pub picks: Vec<Pick>,
    /// Its number among all kernels.
    number: usize,
    /// Its blocks may share a launch with those of others.
    joins: bool,
    /// It is so little work that one block may do it, and other such kernels after it.
    is_small: bool,
    /// One block computes the parts one after the other, where else each has blocks of its own.
    in_turns: bool,
}

/// An operation that picks by an index from data.
#[derive(Clone, Debug)]
pub struct Pick {
    /// Its name.
    pub operation: &'static str,
    /// Where it was recorded, in words.
    pub place: String,
}

impl Pick {
    pub(super) fn of(graph: &Graph, node: NodeId) -> Pick {
        Pick { operation: graph.node(node).op.name(), place: graph.place(node) }
    }
}

/// A step of a plan.
#[derive(Clone, Debug)]
struct Part {
    /// What a block does; its number is `il_block`.
    text: String,
    blocks: u32,
    threads: u32,
}

impl Part {
    /// An index from data may be out of range; of which operation it was is known by the kernel, whose first part it
    /// has to be.
    fn tells_its_kernel(&self) -> bool {
        self.text.contains("il_fail(")
    }

    /// Many reads are to be under way at once, which take registers: more than the 32 or 64 that the compiler gives a
    /// thread so that several blocks fit a multiprocessor.
    fn reads_ahead(&self) -> bool {
        ["il_gemm_thin", "il_region_", "is_within"].iter().any(|name| self.text.contains(name))
    }

    /// Turns in which a block of [`THREADS`] does its blocks.
    fn turns(&self) -> u32 {
        self.blocks.div_ceil(THREADS / self.threads)
    }
}

impl Kernel {
    /// What was written, as a kernel.
    pub(super) fn new(w: Writer<'_>, text: String, shape: Shape) -> Kernel {
        let part = Part { text, blocks: shape.grid[0], threads: shape.block };
        Kernel {
            name: w.name,
            types: String::new(),
            parts: vec![part],
            arguments: w.arguments.into_iter().filter(|a| !matches!(a.of, Of::Chip(_))).collect(),
            shape,
            scratch: w.scratch,
            counters: w.counters,
            picks: w.picks,
            number: w.number,
            joins: false,
            is_small: false,
            in_turns: false,
        }
    }

    /// The same, whose blocks may share a launch with those of others.
    pub(super) fn joining(self) -> Kernel {
        Kernel { joins: true, ..self }
    }

    /// The same, where it is a few blocks of little work each, as the caller says: one that others may come after.
    pub(super) fn small(self) -> Kernel {
        let Shape { grid: [_, y, z], block, shared } = self.shape;
        let alone = self.scratch + self.counters == 0 && (y, z, shared) == (1, 1, 0) && self.types.is_empty();
        let part = &self.parts[0];
        // A return would be one from what comes after it, too; and not all threads would come to a barrier.
        let whole = !part.text.contains("return;") && !part.text.contains("__syncthreads");
        let is_small = alone && whole && THREADS.is_multiple_of(block) && part.turns() <= MOST_TURNS;
        Kernel { is_small, ..self }
    }

    /// The arguments of two kernels, each once; `None` where they are too many.
    fn arguments_with(&self, other: &Kernel) -> Option<Vec<Argument>> {
        let mut arguments = self.arguments.clone();
        for argument in &other.arguments {
            match arguments.iter_mut().find(|a| a.of == argument.of) {
                Some(known) => known.writes |= argument.writes,
                None => arguments.push(argument.clone()),
            }
        }
        (arguments.len() <= MOST_ARGUMENTS).then_some(arguments)
    }

    /// Makes the blocks of another kernel those of this one, which computes both at once; false where that cannot be.
    pub fn join(&mut self, other: &Kernel) -> bool {
        let [a, b] = [self.shape, other.shape];
        let alike = self.joins && other.joins && a.block == b.block && a.grid[1..] == b.grid[1..];
        if !alike || self.in_turns || other.parts.iter().any(Part::tells_its_kernel) {
            return false;
        }
        let (scratch, counters) = (self.scratch.next_multiple_of(16), self.counters);
        let Some(mut arguments) = self.arguments_with(other) else { return false };
        // Memory of its own follows that of this one.
        let mut behind = vec![];
        for of in [Of::Scratch, Of::Counters(0)] {
            let [mine, theirs] = [&self.arguments, &other.arguments].map(|a| a.iter().find(|a| a.of == of));
            let (Some(mine), Some(theirs)) = (mine, theirs) else { continue };
            if mine.dtype != theirs.dtype {
                return false;
            }
            let first = if of == Of::Scratch { scratch / mine.dtype.size() } else { counters };
            behind.push((mine.name.clone(), first));
            arguments.iter_mut().filter(|a| a.of == of).for_each(|a| a.elements = first + theirs.elements);
        }
        self.arguments = arguments;
        self.scratch = if other.scratch > 0 { scratch + other.scratch } else { self.scratch };
        self.counters += other.counters;
        self.shape.grid[0] += other.shape.grid[0];
        // Kernels that were never made have no numbers of their own, so their types may have the same names.
        let name = format!("{}_{}", self.name, self.parts.len());
        let renamed = |text: &str| {
            let text = text.replace(&format!("{}_", other.name), &format!("{name}_"));
            behind.iter().fold(text, |text, (of, first)| text.replace(&of[..], &format!("({of} + {first})")))
        };
        self.types.push_str(&renamed(&other.types));
        self.parts.extend(other.parts.iter().map(|part| Part { text: renamed(&part.text), ..part.clone() }));
        self.is_small &= other.is_small;
        true
    }

    /// Makes another kernel the last part of this one, whose one block then computes all parts one after the other;
    /// false where that cannot be.
    pub fn follow(&mut self, other: &Kernel) -> bool {
        if !self.is_small || !other.is_small || other.parts.iter().any(Part::tells_its_kernel) {
            return false;
        }
        let Some(arguments) = self.arguments_with(other) else { return false };
        self.arguments = arguments;
        self.shape = Shape { grid: [1, 1, 1], block: THREADS, shared: 0 };
        self.parts.extend(other.parts.iter().cloned());
        self.in_turns = true;
        true
    }

    /// Its text.
    pub fn text(&self) -> String {
        let mut text = self.types.clone();
        let blocks = if self.parts.iter().any(Part::reads_ahead) { ", 1" } else { "" };
        let _ = write!(
            text,
            "extern \"C\" __global__ void __launch_bounds__({}{blocks}) {}(",
            self.shape.block, self.name
        );
        for a in &self.arguments {
            let constant = if a.writes { "" } else { "const " };
            let _ = write!(text, "{constant}{}* {}, ", types::memory(a.dtype), a.name);
        }
        text.push_str("IlState* state) {\n");
        let _ = writeln!(text, "const unsigned il_kernel = {}; (void)il_kernel;", self.number);
        if self.in_turns {
            self.turns(&mut text);
        } else {
            self.side_by_side(&mut text);
        }
        text.push_str("}\n");
        text
    }

    /// Each part has blocks of its own.
    fn side_by_side(&self, text: &mut String) {
        let mut start = 0;
        for (i, part) in self.parts.iter().enumerate() {
            if self.parts.len() > 1 {
                let otherwise = if i > 0 { "else " } else { "" };
                let _ = writeln!(text, "{otherwise}if (blockIdx.x < {}u)", start + part.blocks);
            }
            let _ = writeln!(text, "{{\nconst unsigned il_block = blockIdx.x - {start}u; (void)il_block;");
            text.push_str(&part.text);
            text.push_str("}\n");
            start += part.blocks;
        }
    }

    /// One block does them all, and of each step some blocks at once.
    fn turns(&self, text: &mut String) {
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                text.push_str("__syncthreads();\n");
            }
            let Part { blocks, threads, .. } = part;
            let _ = writeln!(
                text,
                "for (unsigned il_block = threadIdx.x / {threads}u; il_block < {blocks}u; il_block += {}u) {{",
                THREADS / threads
            );
            let _ = writeln!(text, "const unsigned il_thread = threadIdx.x % {threads}u;");
            text.push_str(&part.text.replace("threadIdx.x", "il_thread"));
            text.push_str("}\n");
        }
    }
}
