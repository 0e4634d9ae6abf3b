//! What a tile program has to do: its instructions, some of them gathered into chains.

use super::chain::Chains;
use super::codes::Chain;
use super::kernels::{TileKernel, repeats};
use crate::isa::Isa;
use ironlearn_ir::plan::{Instr, Load, Plan, Program, Value};

/// An instruction of a program, or a chain of them that one kernel computes.
pub struct Work<'a> {
    pub args: Vec<Value>,
    pub value: Value,
    /// The last instruction.
    pub instr: &'a Instr,
    /// The kernel of a chain to codes.
    pub codes: Option<TileKernel>,
}

impl<'a> Work<'a> {
    /// All work of a program, in order.
    pub fn all(isa: Isa, plan: &Plan, program: &'a Program, kept: &[Value]) -> Vec<Work<'a>> {
        let (mut all, mut next) = (Vec::new(), 0);
        while next < program.instrs.len() {
            let chain = Chain::at(isa, plan, program, next, kept);
            next += chain.as_ref().map_or(1, |c| c.len);
            let (value, instr) = ((program.loads.len() + next - 1) as Value, &program.instrs[next - 1]);
            let args = chain.as_ref().map_or(&instr.args, |c| &c.args).clone();
            all.push(Work { args, value, instr, codes: chain.map(|c| c.kernel) });
        }
        all
    }

    fn repeats(&self) -> bool {
        self.codes.is_none() && repeats(self.instr)
    }
}

/// For every load whether it is one element that all its instructions take as such.
pub fn singles(program: &Program, work: &[Work<'_>], chains: &Chains, kept: &[Value]) -> Vec<bool> {
    let one =
        |l: &Load| matches!(l, Load::Memory(v) if !v.is_contiguous() && v.strides.iter().all(|&s| s == 0));
    let mut single: Vec<bool> = program.loads.iter().map(one).collect();
    let mut forbid = |value: Value| {
        if let Some(s) = single.get_mut(value as usize) {
            *s = false;
        }
    };
    kept.iter().for_each(|&v| forbid(v));
    let others = work.iter().enumerate().filter(|(i, work)| !work.repeats() && !chains.contains(*i));
    for (_, work) in others {
        work.args.iter().for_each(|&v| forbid(v));
    }
    // Of two operands one at most.
    for work in work.iter().filter(|w| w.repeats()) {
        let is = |v: Value| single.get(v as usize) == Some(&true);
        if is(work.args[0]) && is(work.args[1]) {
            single[work.args[0] as usize] = false;
        }
    }
    single
}
