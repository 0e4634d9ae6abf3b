//! The counting allocator counts. Alone in its file: other tests would be counted too.

use ironlearn_testkit::alloc::{Allocated, Counting, count};

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
}
