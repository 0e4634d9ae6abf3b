//! Parallel loops and matrix products allocate nothing once they are planned.

use ironlearn_cpu::gemm::{GemmPlan, GemmSpec, Strides};
use ironlearn_cpu::isa::Isa;
use ironlearn_cpu::pool::Pool;
use ironlearn_ir::DType;
use ironlearn_testkit::alloc::{Allocated, Counting, count};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn loops_and_products_allocate_nothing() {
    let n = 300;
    let rows = Strides::row_major(n);
    let spec = GemmSpec {
        m: n,
        n,
        k: n,
        a_dtype: DType::F32,
        b_dtype: DType::F32,
        a: rows,
        b: rows.transposed(),
        ldc: n,
        accumulate: true,
    };
    let pool = Pool::new(3);
    let plan = GemmPlan::new(Isa::detect(), spec, pool.threads()).expect("a kernel");
    assert!(plan.tasks() > 1 && plan.scratch_bytes() > 0);
    let (a, b, mut c) = (vec![1.0_f32; n * n], vec![0.5_f32; n * n], vec![0.0_f32; n * n]);
    let mut scratch = vec![0_u8; plan.scratch_bytes() + 64];
    let skip = scratch.as_ptr().align_offset(64);
    let scratch = scratch.as_mut_ptr().wrapping_add(skip);
    let done = AtomicUsize::new(0);
    let mut round = || {
        pool.run(50, &|_, _| {
            done.fetch_add(1, Relaxed);
        });
        // SAFETY: the matrices have the planned shapes, the scratch memory the planned size.
        unsafe { plan.run(&pool, a.as_ptr().cast(), b.as_ptr().cast(), c.as_mut_ptr().cast(), scratch) }
    };
    // Threads set themselves up when they first run.
    round();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let ((), allocated) = count(|| (0..20).for_each(|_| round()));
    assert_eq!(allocated, Allocated::default());
    assert_eq!((c[0], done.into_inner()), (21.0 * 150.0, 21 * 50));
}
