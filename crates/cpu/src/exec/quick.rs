//! Tile programs over a single tile, all of it in one place: their instructions as a list of calls whose operands
//! are a base and a number of bytes. For steps so small that finding the operands is most of the work.

use super::kernels::{Tile, TileKernel};
use super::tile::{Addresses, Place, TILE, TileProgram, Unit};
use crate::isa::Isa;
use ironlearn_ir::plan::{BufferId, Home, Plan, Program, View};

/// Bytes that a buffer of the arena, or a register, has more than it needs at most, so that kernels may go on to
/// the end of a vector.
const ROOM: usize = 64;

/// The instructions of a tile program, ready to run.
pub struct Quick {
    calls: Box<[Call]>,
}

struct Call {
    kernel: TileKernel,
    dst: Spot,
    x: [Spot; 4],
    n: usize,
}

/// A place in memory: bytes from the start of a buffer, or of the registers.
#[derive(Clone, Copy)]
struct Spot {
    base: u32,
    byte: usize,
}

/// In place of a buffer.
const REGISTERS: u32 = u32::MAX;

impl Spot {
    fn of(place: Place) -> Spot {
        match place {
            Place::Register(byte) | Place::Periodic(byte, ..) => Spot { base: REGISTERS, byte },
            Place::Direct(buffer, element, size) | Place::Single(buffer, element, size) => {
                Spot { base: buffer.0, byte: element * size }
            }
        }
    }

    #[inline(always)]
    fn address(self, at: &Addresses, registers: *mut u8) -> *mut u8 {
        let base = if self.base == REGISTERS { registers } else { at.element(BufferId(self.base), 0, 0) };
        base.wrapping_add(self.byte)
    }
}

impl Quick {
    /// The calls, where the program is one tile and reads all of its operands in place. `direct` are the views
    /// that values are computed straight into.
    pub fn new(
        isa: Isa,
        plan: &Plan,
        program: &Program,
        tiles: &TileProgram,
        direct: &[View],
    ) -> Option<Quick> {
        let n: usize = program.dims.iter().product();
        if n > TILE || !tiles.in_place() {
            return None;
        }
        // Results that are a whole buffer may be followed by what is in a vector after them.
        let whole =
            |id: BufferId| direct.iter().any(|v| v.buffer == id && v.elements() == plan.buffer(id).len);
        let room = |place: Place, written: bool| match place {
            Place::Register(_) => true,
            Place::Single(..) | Place::Periodic(..) => !written,
            Place::Direct(buffer, element, _) => {
                let arena = matches!(plan.buffer(buffer).home, Home::Arena(_));
                arena && element == 0 && (whole(buffer) || !written)
            }
        };
        let calls = tiles.units.iter().map(|unit| {
            let Unit::One(instruction) = unit else { return None };
            let args = &instruction.args[..instruction.arity];
            let rounded = matches!(instruction.kernel, TileKernel::Vector(_))
                && instruction.dtype == instruction.out
                && args.iter().all(|&a| room(a, false))
                && room(instruction.to, true);
            let vector = if rounded { (isa.vector_bytes() / instruction.dtype.size()).max(1) } else { 1 };
            let x = instruction.args.map(Spot::of);
            Some(Call {
                kernel: instruction.kernel,
                dst: Spot::of(instruction.to),
                x,
                n: n.next_multiple_of(vector),
            })
        });
        debug_assert!(isa.vector_bytes() <= ROOM, "buffers and registers end at multiples of {ROOM} bytes");
        Some(Quick { calls: calls.collect::<Option<_>>()? })
    }

    /// Computes the program.
    ///
    /// # Safety
    /// As for [`TileProgram::run`]; memory of the arena and the registers is initialised.
    #[inline(always)]
    pub unsafe fn run(&self, at: &Addresses, registers: *mut u8) {
        for call in &self.calls {
            let x = call.x.map(|spot| spot.address(at, registers));
            let dst = call.dst.address(at, registers);
            call.kernel.run(&mut Tile { dst, x: x.map(|p| p.cast_const()), n: call.n });
        }
    }
}
