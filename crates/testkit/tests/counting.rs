//! The counting allocator counts. Alone in its file: other tests would be counted too.

use ironlearn_testkit::alloc::{Allocated, Counting, count, peak};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn requests_of_all_threads_are_counted() {
    let (_, none) = count(|| std::hint::black_box(3) + 4);
    assert_eq!(none, Allocated::default());
    let (list, two) = count(|| {
        let mut list: Vec<u64> = Vec::with_capacity(10);
        list.reserve_exact(20);
        list
    });
    assert_eq!(two, Allocated { requests: 2, bytes: 240 });
    drop(list);
    let ((), other) = count(|| {
        std::thread::scope(|s| {
            s.spawn(|| drop(std::hint::black_box(vec![0u8; 1 << 20])));
        })
    });
    assert!(other.requests >= 1 && other.bytes >= 1 << 20, "{other:?}");

    let ((), most) = peak(|| {
        for _ in 0..3 {
            drop(std::hint::black_box(vec![0u8; 1 << 20]));
        }
        let mut list: Vec<u8> = Vec::with_capacity(1 << 21);
        list.reserve_exact(1 << 22);
        // No machine has so much.
        assert!(list.try_reserve_exact(1 << 50).is_err());
    });
    // The thread that waits for this one frees a little of its own meanwhile.
    let near = |most: u64, expected: u64| most.abs_diff(expected) < 4096;
    assert!(near(most, (1 << 22) + (1 << 50)), "{most}");
    let ((), most) = peak(|| drop(std::hint::black_box(vec![0u8; 1 << 20])));
    assert!(near(most, 1 << 20), "{most}");
}
