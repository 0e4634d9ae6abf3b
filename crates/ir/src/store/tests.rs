use super::*;
use crate::DType;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A device that has `[n, n]` of every slot.
struct Fake {
    n: Mutex<Result<f32, String>>,
    fetches: AtomicUsize,
}

impl Fake {
    fn new(n: f32) -> Arc<Fake> {
        Arc::new(Fake { n: Mutex::new(Ok(n)), fetches: AtomicUsize::new(0) })
    }

    fn set(&self, n: Result<f32, &str>) {
        *self.n.lock().unwrap() = n.map_err(str::to_string);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }
}

impl Resident for Fake {
    fn fetch(&self, _: SlotId, to: &mut Array) -> Result<(), String> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        to.as_slice_mut::<f32>().unwrap().fill(self.n.lock().unwrap().clone()?);
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn array(x: f32) -> Array {
    Array::of([2], vec![x; 2]).unwrap()
}

/// A store with one slot, which a device has moved on to 2.
fn moved() -> (Store, SlotId, Arc<Fake>) {
    let (mut store, device) = (Store::new(), Fake::new(2.0));
    let id = store.add("w", Role::Parameter, array(1.0)).expect("a free name");
    store.set_resident(device.clone());
    store.moved(id);
    (store, id, device)
}

fn address(store: &Store, id: SlotId) -> *const f32 {
    store.slot(id).value().as_slice::<f32>().unwrap().as_ptr()
}

#[test]
fn a_spare_follows_the_type_of_the_value() {
    let mut store = Store::new();
    let id = store.add("w", Role::Parameter, Array::scalar(1f32)).expect("a free name");
    assert_eq!(store.spare_mut(id).unwrap().data().len(), 1);
    *store.slot_mut(id).value_mut() = Array::zeros(DType::F64, [3]);
    assert_eq!(*store.spare_mut(id).unwrap(), Array::zeros(DType::F64, [3]));
}

#[test]
fn a_value_is_fetched_at_the_first_look_into_memory_that_is_there() {
    let (mut store, id, device) = (Store::new(), SlotId(0), Fake::new(2.0));
    store.add("w", Role::Parameter, array(1.0)).expect("a free name");
    let at = address(&store, id);
    store.set_resident(device.clone());
    for (n, step) in [(2.0, 1), (3.0, 2), (4.0, 3)] {
        store.moved(id);
        device.set(Ok(n));
        assert_eq!((store.ty(id), device.fetches()), (TensorType::new(DType::F32, [2]), step - 1));
        assert_eq!(*store.slot(id).value(), array(n));
        assert_eq!((address(&store, id), device.fetches()), (at, step));
    }
    // Steps in between that nobody looked at.
    store.moved(id);
    store.moved(id);
    assert_eq!((address(&store, id), device.fetches()), (at, 4));
}

#[test]
fn what_the_host_changes_is_built_on_what_the_device_has() {
    let (mut store, id, _) = moved();
    store.slot_mut(id).value_mut().as_slice_mut::<f32>().unwrap()[0] = 5.0;
    assert_eq!(store.slot(id).value().as_slice::<f32>(), Some(&[5.0, 2.0][..]));
    store.moved(id);
    store.set(id, array(7.0)).unwrap();
    assert_eq!(*store.slot(id).value(), array(7.0));
}

#[test]
fn a_step_on_the_cpu_goes_on_from_what_the_device_has() {
    let (mut store, id, device) = moved();
    assert_eq!(*store.spare_mut(id).unwrap(), array(0.0));
    assert_eq!(device.fetches(), 1);
    *store.spare_mut(id).unwrap() = array(3.0);
    store.commit(id);
    assert_eq!((store.slot(id).value(), store.spare(id)), (&array(3.0), Some(&array(2.0))));
    assert_eq!(device.fetches(), 1);
}

#[test]
fn every_new_value_has_a_number_of_its_own_and_a_look_changes_nothing() {
    let (mut store, id, _) = moved();
    let other = store.add("v", Role::Parameter, array(1.0)).unwrap();
    let mut seen = vec![store.version(other)];
    let mut new = |store: &Store| {
        let version = store.version(id);
        assert!(!seen.contains(&version), "{version} is not new");
        seen.push(version);
        store.slot(id).value();
        assert_eq!((store.version(id), store.version(other)), (version, seen[0]));
    };
    new(&store);
    store.moved(id);
    new(&store);
    store.slot_mut(id).value_mut();
    new(&store);
    store.set(id, array(1.0)).unwrap();
    new(&store);
    // A run of two steps writes to the value's memory, and does not commit.
    store.spare_mut(id).unwrap();
    new(&store);
    store.commit(id);
    new(&store);
}

#[test]
fn a_clone_has_its_values_at_the_host_under_the_same_numbers_until_they_part() {
    let (mut store, id, device) = moved();
    let mut copy = store.clone();
    assert!(copy.resident().is_none());
    device.set(Ok(9.0));
    assert_eq!((copy.slot(id).value(), copy.version(id)), (&array(2.0), store.version(id)));
    store.moved(id);
    copy.slot_mut(id).value_mut();
    let versions = [store.version(id), copy.version(id), store.clone().version(id)];
    assert!(versions[0] != versions[1] && versions[0] == versions[2], "{versions:?}");
}

#[test]
fn another_device_begins_with_what_the_first_has_computed() {
    let (mut store, id, _) = moved();
    let version = store.version(id);
    store.set_resident(Fake::new(8.0));
    assert_eq!((store.slot(id).value(), store.version(id)), (&array(2.0), version));
    let resident = store.resident().unwrap().as_any().downcast_ref::<Fake>().unwrap();
    assert_eq!(resident.fetches(), 0);
}

#[test]
fn what_is_lost_is_never_taken_for_new() {
    let (mut store, id, device) = moved();
    assert_eq!((store.lost(), store.fetch_all()), (None, Ok(())));
    store.moved(id);
    device.set(Err("the cable was pulled"));
    assert_eq!(*store.slot(id).value(), array(2.0));
    device.set(Err("another cause"));
    assert_eq!(store.fetch_all(), Err("the cable was pulled".into()));
    assert_eq!(store.clone().lost(), Some("the cable was pulled"));
    // What the host does later does not hide it, and the device is not asked again.
    store.slot_mut(id).value_mut();
    store.moved(id);
    assert_eq!((store.slot(id).value(), device.fetches()), (&array(2.0), 2));
    assert!(store.fetch_all().is_err());
}

#[test]
fn a_look_from_several_threads_fetches_once() {
    let (store, id, device) = moved();
    std::thread::scope(|s| {
        (0..4).for_each(|_| drop(s.spawn(|| assert_eq!(*store.slot(id).value(), array(2.0)))));
    });
    assert_eq!(device.fetches(), 1);
}

#[test]
fn nothing_moves_where_there_is_no_device() {
    let mut store = Store::new();
    let id = store.add("w", Role::Parameter, array(1.0)).expect("a free name");
    store.moved(id);
    assert!(store.fetch_all().unwrap_err().contains("`w` moved"));
}

#[test]
fn debugging_looks_at_nothing() {
    let (store, _, device) = moved();
    assert!(format!("{store:?}").contains("on a device"));
    assert_eq!(device.fetches(), 0);
}
