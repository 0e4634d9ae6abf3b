//! [`Sums`]: a register of running sums, of floats by fused multiply-adds or of wrapping integers.

use ironlearn_ir::lanes::FloatLanes;

/// Running sums of `LANES` neighbouring results.
pub trait Sums: Copy {
    /// What is multiplied at once.
    type Cell: Copy + Default + 'static;
    /// Type of the sums.
    type Elem: Copy + Default + 'static;
    /// A register of cells.
    type Operand: Copy;
    /// Sums in a register.
    const LANES: usize;
    /// The same sum in every lane.
    fn all(x: Self::Elem) -> Self;
    /// # Safety
    /// `p` is valid for reading `LANES` sums.
    unsafe fn sums(p: *const Self::Elem) -> Self;
    /// # Safety
    /// `p` is valid for writing `LANES` sums.
    unsafe fn store(self, p: *mut Self::Elem);
    /// The same cell in every lane.
    fn splat(x: Self::Cell) -> Self::Operand;
    /// # Safety
    /// `p` is valid for reading `LANES` cells.
    unsafe fn load(p: *const Self::Cell) -> Self::Operand;
    /// `self + seen·held`
    fn mac(self, seen: Self::Operand, held: Self::Operand) -> Self;
    /// `self + b`
    fn plus(self, b: Self) -> Self;
    /// `self − b`
    fn minus(self, b: Self) -> Self;
}

/// Lanes of `f32` or `f64`.
#[derive(Clone, Copy)]
pub struct Floats<L>(L);

impl<L: FloatLanes> Sums for Floats<L>
where
    L::Elem: Default,
{
    type Cell = L::Elem;
    type Elem = L::Elem;
    type Operand = L;
    const LANES: usize = L::WIDTH;
    #[inline(always)]
    fn all(x: L::Elem) -> Self {
        Floats(L::splat(x))
    }
    #[inline(always)]
    unsafe fn sums(p: *const L::Elem) -> Self {
        // SAFETY: the caller's promise.
        Floats(unsafe { Self::load(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut L::Elem) {
        // SAFETY: the caller's promise.
        self.0.store(unsafe { std::slice::from_raw_parts_mut(p, L::WIDTH) });
    }
    #[inline(always)]
    fn splat(x: L::Elem) -> L {
        L::splat(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const L::Elem) -> L {
        // SAFETY: the caller's promise.
        L::load(unsafe { std::slice::from_raw_parts(p, L::WIDTH) })
    }
    #[inline(always)]
    fn mac(self, seen: L, held: L) -> Self {
        Floats(seen.fma(held, self.0))
    }
    #[inline(always)]
    fn plus(self, b: Self) -> Self {
        Floats(self.0.plus(b.0))
    }
    #[inline(always)]
    fn minus(self, b: Self) -> Self {
        Floats(self.0.minus(b.0))
    }
}

/// A cell of integers.
pub trait Product: Copy + Default + 'static {
    /// The sum of the products of its elements.
    fn product(self, b: Self) -> i32;
}

impl Product for i32 {
    #[inline(always)]
    fn product(self, b: i32) -> i32 {
        self.wrapping_mul(b)
    }
}

impl Product for [i16; 2] {
    #[inline(always)]
    fn product(self, b: [i16; 2]) -> i32 {
        let [x, y] = [0, 1].map(|i| i32::from(self[i]) * i32::from(b[i]));
        x.wrapping_add(y)
    }
}

/// Sums of integers, which the compiler turns into what registers there are.
#[derive(Clone, Copy)]
pub struct Integers<C>([i32; 8], std::marker::PhantomData<C>);

impl<C> Integers<C> {
    #[inline(always)]
    fn each(f: impl Fn(usize) -> i32) -> Self {
        let mut sums = [0; 8];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = f(i);
        }
        Integers(sums, std::marker::PhantomData)
    }
}

impl<C: Product> Sums for Integers<C> {
    type Cell = C;
    type Elem = i32;
    type Operand = [C; 8];
    const LANES: usize = 8;
    #[inline(always)]
    fn all(x: i32) -> Self {
        Self::each(|_| x)
    }
    #[inline(always)]
    unsafe fn sums(p: *const i32) -> Self {
        // SAFETY: the caller's promise.
        Integers(unsafe { p.cast::<[i32; 8]>().read_unaligned() }, std::marker::PhantomData)
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[i32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn splat(x: C) -> [C; 8] {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(p: *const C) -> [C; 8] {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[C; 8]>().read_unaligned() }
    }
    #[inline(always)]
    fn mac(self, seen: [C; 8], held: [C; 8]) -> Self {
        Self::each(|i| self.0[i].wrapping_add(seen[i].product(held[i])))
    }
    #[inline(always)]
    fn plus(self, b: Self) -> Self {
        Self::each(|i| self.0[i].wrapping_add(b.0[i]))
    }
    #[inline(always)]
    fn minus(self, b: Self) -> Self {
        Self::each(|i| self.0[i].wrapping_sub(b.0[i]))
    }
}

/// True where a register of these sums has 64 bytes: then there are 32 of them.
pub const fn is_wide<S: Sums>() -> bool {
    S::LANES * size_of::<S::Elem>() == 64
}
