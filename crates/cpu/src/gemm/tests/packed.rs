//! Products of blocks of rows, whose sizes are known when they run.

use super::*;
use ironlearn_ir::{Complex32, bf16};

/// C after the products of the rows of A, a block of at most `rows` at a time, by a B that was packed ahead.
pub(super) fn packed<A: Element, B: Element, C: Element>(
    case: &Case<A, B, C>,
    isa: Isa,
    rows: usize,
) -> Vec<C> {
    let GemmSpec { m, a, ldc, accumulate, .. } = case.spec;
    let plan = PackedGemm::new(isa, GemmSpec { m: rows, ..case.spec }).expect("a kernel");
    let mut c = case.c.clone();
    let (mut b, mut scratch) = (Margin::new(plan.packed_bytes()), Margin::new(plan.worker_bytes()));
    // SAFETY: the matrices have the planned shapes, the memory the plan's sizes.
    unsafe {
        let half = plan.pack_tasks() / 2;
        plan.pack(half..plan.pack_tasks(), case.b.pointer(), b.start());
        plan.pack(0..half, case.b.pointer(), b.start());
        for i in (0..m).step_by(rows) {
            let from = case.a.pointer().cast::<A>().offset(i as isize * a.row).cast();
            let to = c.as_mut_ptr().add(i * ldc).cast();
            plan.run(rows.min(m - i), accumulate, from, b.start(), to, scratch.start());
        }
    }
    assert!(b.is_whole() && scratch.is_whole(), "{:?}: memory is overrun", case.spec);
    c
}

/// C after the product of as many rows and as long sums as the case has, with a plan for more.
fn part_of_a_plan<A: Element, B: Element, C: Element>(case: &Case<A, B, C>, isa: Isa, more: usize) -> Vec<C> {
    let GemmSpec { m, k, accumulate, .. } = case.spec;
    let spec = GemmSpec { m: m + more, k: k + more, accumulate: !accumulate, ..case.spec };
    let plan = GemmPlan::new(isa, spec, 1).expect("a kernel");
    let mut c = case.c.clone();
    let mut scratch = Margin::new(plan.worker_bytes());
    // SAFETY: as in `packed`.
    unsafe {
        let (a, b, c) = (case.a.pointer(), case.b.pointer(), c.as_mut_ptr().cast());
        plan.run_part(Extent { m, k, accumulate }, a, b, c, scratch.start());
    }
    assert!(scratch.is_whole(), "{:?}: scratch memory is overrun", case.spec);
    c
}

fn check_blocks<A: Element, B: Element, C: Element + PartialEq>(
    case: &Case<A, B, C>,
    step: impl Fn(C, A, B) -> C,
    add: impl Fn(C, C) -> C,
) {
    let expected = case.expected(step, add);
    for isa in Isa::available() {
        for rows in [1, 9, 128] {
            assert!(packed(case, isa, rows) == expected, "{isa:?}, blocks of {rows} rows: {:?}", case.spec);
        }
        for more in [0, 3, 130] {
            assert!(part_of_a_plan(case, isa, more) == expected, "{isa:?}, {more} more: {:?}", case.spec);
        }
    }
}

#[test]
fn blocks_of_rows_have_the_documented_bits() {
    let mut cases = cases(21, 12);
    cases.push(([150, 200, 300], [Layout::Rows, Layout::Columns], true));
    cases.push(([130, 70, 260], [Layout::Columns, Layout::Rows], false));
    cases.push(([300, 1, 200], [Layout::Columns, Layout::Rows], true));
    cases.push(([77, 1, 270], [Layout::Rows, Layout::Rows], true));
    for (seed, (shape, layouts, accumulate)) in (1..).zip(cases) {
        let (mut x, mut y, mut z) = (Random(seed), Random(seed + 1000), Random(seed + 2000));
        let values = (|| x.float() as f32, || y.float() as f32, || z.float() as f32);
        let case = Case::new(shape, layouts, accumulate, values);
        check_blocks(&case, |c, a: f32, b: f32| a.mul_add(b, c), |c, sum| c + sum);
    }
}

#[test]
fn blocks_of_rows_of_other_types_have_the_documented_bits() {
    for (seed, (shape, layouts, accumulate)) in (1..).zip(cases(22, 0)) {
        let (mut x, mut y, mut z) = (Random(seed), Random(seed + 1000), Random(seed + 2000));
        let values = (|| x.float(), || y.float(), || z.float());
        let case = Case::new(shape, layouts, accumulate, values);
        check_blocks(&case, |c, a: f64, b: f64| a.mul_add(b, c), |c, sum| c + sum);
        let values = (|| bf16::from_f64(x.float()), || bf16::from_f64(y.float()), || z.float() as f32);
        let case = Case::new(shape, layouts, accumulate, values);
        check_blocks(&case, |c, a, b| a.to_f32().mul_add(b.to_f32(), c), |c, sum| c + sum);
        let values = (|| x.next() as i8, || y.next() as u8, || z.next() as i32);
        let case = Case::new(shape, layouts, accumulate, values);
        let step = |c: i32, a: i8, b: u8| c.wrapping_add(i32::from(a) * i32::from(b));
        check_blocks(&case, step, i32::wrapping_add);
        let complex = |random: &mut Random| Complex32::new(random.float() as f32, random.float() as f32);
        let values = (|| complex(&mut x), || complex(&mut y), || complex(&mut z));
        let case = Case::new(shape, layouts, accumulate, values);
        check_blocks(&case, |c, a: Complex32, b: Complex32| c + a * b, |c, sum| c + sum);
    }
}
