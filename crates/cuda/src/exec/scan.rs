//! Loops: the kernels of one step, queued for each element of the sequences.

use super::CudaProgram;
use super::compile::{self, Loop};
use super::copies::Copy;
use crate::error::CudaError;
use ironlearn_ir::plan::{Buffer, Home, Plan, View};

impl CudaProgram {
    /// The carries live in the buffers of the loop's results; what a step makes of them is copied back when it is
    /// done.
    pub(super) fn queue_loop(&self, plan: &Plan, l: &Loop, addresses: &[u64]) -> Result<(), CudaError> {
        let (scan, body) = (&l.scan, &*l.body.plan);
        let at = |view: &View| compile::address(plan, addresses, view);
        let carries = scan.inputs[..scan.carries].iter().zip(&scan.results);
        let starts =
            carries.map(|(from, to)| Copy { from: at(from), to: at(to), bytes: compile::bytes(plan, to) });
        self.copies.queue(&self.context, starts)?;
        let arena = self.memory.loops[l.arena].at();
        for step in 0..scan.length {
            let t = if scan.reverse { scan.length - 1 - step } else { step };
            let of = |(i, buffer): (usize, &Buffer)| match &buffer.home {
                Home::Arena(start) => arena + *start as u64,
                Home::Constant(_) => self.memory.constant(Some(l.arena), i),
                Home::Input(index) => {
                    let index = *index as usize;
                    if index < scan.carries {
                        at(&scan.results[index])
                    } else if index < scan.carries + scan.xs {
                        at(&scan.inputs[index]) + (t * buffer.bytes()) as u64
                    } else {
                        at(&scan.inputs[index])
                    }
                }
                Home::Control(field) => self.state.field(*field).unwrap_or(0),
                _ => 0,
            };
            let inner: Vec<u64> = body.buffers.iter().enumerate().map(of).collect();
            l.body.actions.iter().try_for_each(|action| self.queue_action(&l.body, action, &inner))?;
            // Results of the body are in its arena.
            let results = body.outputs.iter().zip(&scan.results).enumerate();
            self.copies.queue(
                &self.context,
                results.map(|(i, (view, result))| {
                    let bytes = compile::bytes(body, view);
                    let to = at(result) + if i < scan.carries { 0 } else { (t * bytes) as u64 };
                    Copy { from: compile::address(body, &inner, view), to, bytes }
                }),
            )?;
        }
        Ok(())
    }
}
