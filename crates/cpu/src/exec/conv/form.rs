//! [`Form`]: how the elements of an operand lie where they are multiplied: as they are, or several that follow each
//! other along a sum in one cell, for instructions that multiply and add them at once.

use super::sums::{Floats, Integers, Sums};
#[cfg(target_arch = "x86_64")]
use super::vectors::{self, Bytes16, Dots16, Numbers8, Numbers16, Words8, Words16};
use crate::isa::{Isa, Kernel, Level};
use ironlearn_ir::lanes::{FloatLanes, NumLanes};
use std::marker::PhantomData;

/// How elements lie, and what they are summed in.
pub trait Form: 'static {
    /// Type of an operand's elements.
    type Elem: Copy + Default + 'static;
    /// Elements of the operand that windows slide over, where they are multiplied.
    type Seen: Copy + 'static;
    /// Elements of the other operand, likewise.
    type Held: Copy + Default + 'static;
    /// As many of either as go into one multiplication.
    type Cell: Copy + Default + 'static;
    /// Type of the sums.
    type Sum: NumLanes + Default;
    /// Elements of a cell.
    const GROUP: usize;
    /// Sums are the same in whatever order, and need not be cut into blocks.
    const EXACT: bool = true;
    /// A zero is seen as something else: sums begin with what takes that off again, which is in the head of a panel
    /// of the kernel, of the size of a cell for each channel.
    const SHIFTED: bool = false;
    /// A zero as it is seen, and a cell of them.
    const NOTHING: Self::Seen;
    const EMPTY: Self::Cell;
    /// An element as one that is seen.
    fn seen(x: Self::Elem) -> Self::Seen;
    /// An element as one that is held.
    fn held(x: Self::Elem) -> Self::Held;
    /// What a sum begins with, less what an element that is held adds to it where nothing is seen.
    fn begin(begin: Self::Sum, _held: Self::Held) -> Self::Sum {
        begin
    }
    /// How cells fill registers.
    fn layout(isa: Isa) -> Layout;
    /// Runs a task with the sums of an instruction set.
    ///
    /// # Safety
    /// As for the task.
    unsafe fn run<T: Task<Self>>(isa: Isa, task: T);
    /// The first `n` elements at `from`, held, as cells of a register; zeros behind them.
    ///
    /// # Safety
    /// There are so many, and at most as a register has room for; the CPU has AVX-512.
    #[cfg(target_arch = "x86_64")]
    unsafe fn row(from: *const Self::Elem, n: usize) -> std::arch::x86_64::__m512i;
}

/// What is done with the sums of a form.
pub trait Task<F: Form + ?Sized> {
    /// # Safety
    /// The pointers of the task are valid for what it says.
    unsafe fn compute<S: Sums<Cell = F::Cell, Elem = F::Sum>>(self);
}

/// How the cells of a form fill the registers of an instruction set.
#[derive(Clone, Copy)]
pub struct Layout {
    /// Sums in a register.
    pub lanes: usize,
    /// There are 32 registers of 64 bytes.
    pub wide: bool,
    /// Elements and bytes of a cell.
    pub group: usize,
    pub bytes: usize,
    /// Panels of the kernel have heads.
    pub headed: bool,
    /// Sums need not be cut into blocks.
    pub exact: bool,
}

impl Layout {
    fn new<F: Form>(lanes: usize) -> Layout {
        let bytes = size_of::<F::Cell>();
        let (wide, headed, exact) = (lanes * bytes == 64, F::SHIFTED, F::EXACT);
        Layout { lanes, wide, group: F::GROUP, bytes, headed, exact }
    }

    /// Of integers, which have registers of their own where the CPU is an x86.
    fn of_integers<F: Form>(isa: Isa) -> Layout {
        Layout::new::<F>(if isa.level() == Level::Avx512 { 16 } else { 8 })
    }
}

/// Elements that are cells.
pub struct Same<T>(PhantomData<T>);

macro_rules! floats {
    ($($t:ty, $task:ident, $lanes:ident;)*) => {$(
        impl Form for Same<$t> {
            type Elem = $t;
            type Seen = $t;
            type Held = $t;
            type Cell = $t;
            type Sum = $t;
            const GROUP: usize = 1;
            const EXACT: bool = false;
            const NOTHING: $t = 0.0;
            const EMPTY: $t = 0.0;
            #[inline(always)]
            fn seen(x: $t) -> $t {
                x
            }
            #[inline(always)]
            fn held(x: $t) -> $t {
                x
            }
            fn layout(isa: Isa) -> Layout {
                struct Width;
                impl Kernel for Width {
                    type Out = usize;
                    fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) -> usize {
                        $lanes::WIDTH
                    }
                }
                Layout::new::<Self>(isa.run(Width))
            }
            unsafe fn run<T: Task<Self>>(isa: Isa, task: T) {
                isa.run($task(task));
            }
            #[cfg(target_arch = "x86_64")]
            #[inline(always)]
            unsafe fn row(from: *const $t, n: usize) -> std::arch::x86_64::__m512i {
                // SAFETY: the caller's promise.
                unsafe { crate::gemm::transpose::load(from, n) }
            }
        }

        /// A task with the lanes of an instruction set.
        struct $task<T>(T);

        impl<T: Task<Same<$t>>> Kernel for $task<T> {
            type Out = ();
            #[inline(always)]
            fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) {
                // SAFETY: who makes the task vouches for it.
                unsafe { self.0.compute::<Floats<$lanes>>() }
            }
        }
    )*};
}
floats! { f32, Single, F32; f64, Double, F64; }

impl Form for Same<i32> {
    type Elem = i32;
    type Seen = i32;
    type Held = i32;
    type Cell = i32;
    type Sum = i32;
    const GROUP: usize = 1;
    const NOTHING: i32 = 0;
    const EMPTY: i32 = 0;
    #[inline(always)]
    fn seen(x: i32) -> i32 {
        x
    }
    #[inline(always)]
    fn held(x: i32) -> i32 {
        x
    }
    fn layout(isa: Isa) -> Layout {
        Layout::of_integers::<Self>(isa)
    }
    unsafe fn run<T: Task<Self>>(isa: Isa, task: T) {
        // SAFETY: the caller's promise; `isa` proves that the CPU has the instructions.
        unsafe {
            match isa.level() {
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => vectors::avx512::<Self, T, Numbers16>(task),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => vectors::avx2::<Self, T, Numbers8>(task),
                _ => task.compute::<Integers<i32>>(),
            }
        }
    }
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn row(from: *const i32, n: usize) -> std::arch::x86_64::__m512i {
        // SAFETY: the caller's promise.
        unsafe { crate::gemm::transpose::load(from, n) }
    }
}

/// Pairs of 16 bits.
pub struct Pairs<X>(PhantomData<X>);

macro_rules! pairs {
    ($($t:ty, $row:path;)*) => {$(
        impl Form for Pairs<$t> {
            type Elem = $t;
            type Seen = i16;
            type Held = i16;
            type Cell = [i16; 2];
            type Sum = i32;
            const GROUP: usize = 2;
            const NOTHING: i16 = 0;
            const EMPTY: [i16; 2] = [0; 2];
            #[inline(always)]
            fn seen(x: $t) -> i16 {
                x.into()
            }
            #[inline(always)]
            fn held(x: $t) -> i16 {
                x.into()
            }
            fn layout(isa: Isa) -> Layout {
                Layout::of_integers::<Self>(isa)
            }
            unsafe fn run<T: Task<Self>>(isa: Isa, task: T) {
                // SAFETY: the caller's promise; `isa` proves that the CPU has the instructions.
                unsafe {
                    match isa.level() {
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx512 if isa.has_byte_dots() => vectors::vnni::<Self, T, Dots16>(task),
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx512 => vectors::avx512::<Self, T, Words16>(task),
                        #[cfg(target_arch = "x86_64")]
                        Level::Avx2 => vectors::avx2::<Self, T, Words8>(task),
                        _ => task.compute::<Integers<[i16; 2]>>(),
                    }
                }
            }
            #[cfg(target_arch = "x86_64")]
            #[inline(always)]
            unsafe fn row(from: *const $t, n: usize) -> std::arch::x86_64::__m512i {
                // SAFETY: the caller's promise.
                unsafe { $row(from, n) }
            }
        }
    )*};
}
pairs! { i8, vectors::words_of_bytes; i16, vectors::words; }

/// Four bytes, of which those that are seen have 128 more than they should: the instruction takes them as unsigned.
#[cfg(target_arch = "x86_64")]
pub struct Quads;

/// True where there is an instruction for [`Quads`].
#[cfg(target_arch = "x86_64")]
pub fn has_quads(isa: Isa) -> bool {
    isa.level() == Level::Avx512 && isa.has_byte_dots()
}

#[cfg(target_arch = "x86_64")]
impl Form for Quads {
    type Elem = i8;
    type Seen = u8;
    type Held = i8;
    type Cell = [u8; 4];
    type Sum = i32;
    const GROUP: usize = 4;
    const SHIFTED: bool = true;
    const NOTHING: u8 = 128;
    const EMPTY: [u8; 4] = [128; 4];
    #[inline(always)]
    fn seen(x: i8) -> u8 {
        x as u8 ^ 128
    }
    #[inline(always)]
    fn held(x: i8) -> i8 {
        x
    }
    #[inline(always)]
    fn begin(begin: i32, held: i8) -> i32 {
        begin.wrapping_sub(128 * i32::from(held))
    }
    fn layout(isa: Isa) -> Layout {
        Layout::of_integers::<Self>(isa)
    }
    unsafe fn run<T: Task<Self>>(isa: Isa, task: T) {
        debug_assert!(has_quads(isa));
        // SAFETY: the caller's promise; the form is chosen where the CPU has VNNI.
        unsafe { vectors::vnni::<Self, T, Bytes16>(task) }
    }
    #[inline(always)]
    unsafe fn row(from: *const i8, n: usize) -> std::arch::x86_64::__m512i {
        // SAFETY: the caller's promise.
        unsafe { vectors::bytes(from, n) }
    }
}
