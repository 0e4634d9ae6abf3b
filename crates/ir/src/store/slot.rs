//! [`Slot`]: one piece of state, and where its newest value is: in the memory of the host, or on a device.

use super::{Resident, Role, SlotId};
use crate::{Array, DType, Shape, TensorType};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One piece of state.
#[derive(Debug)]
pub struct Slot {
    /// Path-like unique name, such as `hidden.weight`.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// False where training must leave it alone.
    pub trainable: bool,
    /// The committed value; nothing of use while a device is ahead.
    value: Array,
    /// Where a step writes the next value; exchanged with `value` on commit. Empty until first needed.
    pub(super) spare: Option<Array>,
    version: Version,
    ahead: Option<Ahead>,
}

impl Slot {
    pub(super) fn new(name: &str, role: Role, value: Array) -> Slot {
        let (name, trainable) = (name.to_string(), role == Role::Parameter);
        Slot { name, role, trainable, value, spare: None, version: Version::default(), ahead: None }
    }

    /// The committed value. Where a device is ahead, the first look fetches it; where that fails, an old value
    /// stands in and [`Store::lost`](super::Store::lost) says so.
    pub fn value(&self) -> &Array {
        match &self.ahead {
            None => &self.value,
            Some(ahead) => ahead.value(),
        }
    }

    /// The committed value, to be changed: counts as a change.
    pub fn value_mut(&mut self) -> &mut Array {
        self.settle();
        self.version = Version::default();
        &mut self.value
    }

    /// The number of the committed value: slots with the same number, of whatever store, have equal values.
    pub fn version(&self) -> u64 {
        self.version.number()
    }

    /// The element type; looks at no value.
    pub fn dtype(&self) -> DType {
        self.ahead.as_ref().map_or(self.value.dtype(), |ahead| ahead.ty.dtype)
    }

    /// Lengths along the axes; looks at no value.
    pub fn shape(&self) -> &Shape {
        self.ahead.as_ref().map_or(self.value.shape(), |ahead| &ahead.ty.shape)
    }

    pub(super) fn set(&mut self, value: Array) {
        self.ahead = None;
        self.version = Version::default();
        self.value = value;
    }

    /// Brings the newest value to the host, for good.
    pub(super) fn settle(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            self.value = ahead.into_value();
        }
    }

    /// A step is about to write to spare and value: the value is at the host, and counts as changed.
    pub(super) fn written(&mut self) {
        self.settle();
        self.version = Version::default();
    }

    pub(super) fn commit(&mut self) {
        if let Some(spare) = &mut self.spare {
            std::mem::swap(spare, &mut self.value);
            self.ahead = None;
            self.version = Version::default();
        }
    }

    /// A device has a newer value. The host's memory is kept for the next fetch.
    pub(super) fn moved(&mut self, id: SlotId, resident: &Arc<dyn Resident>, lost: &Arc<OnceLock<String>>) {
        self.version = Version::default();
        match &mut self.ahead {
            Some(ahead) => ahead.moved_on(),
            None => {
                let ty = TensorType::new(self.value.dtype(), self.value.shape().clone());
                let stale = std::mem::replace(&mut self.value, Array::scalar(0u8));
                self.ahead = Some(Ahead {
                    id,
                    ty,
                    resident: resident.clone(),
                    lost: lost.clone(),
                    fetched: OnceLock::new(),
                    stale: Mutex::new(Some(stale)),
                });
            }
        }
    }
}

/// A copy with its value at the host.
impl Clone for Slot {
    fn clone(&self) -> Slot {
        Slot {
            name: self.name.clone(),
            role: self.role,
            trainable: self.trainable,
            value: self.value().clone(),
            spare: None,
            version: Version(self.version().into()),
            ahead: None,
        }
    }
}

/// The number of a value, from a counter of the whole process; given out when somebody asks, so that steps on
/// the CPU do not pay for it.
#[derive(Debug, Default)]
struct Version(AtomicU64);

impl Version {
    fn number(&self) -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        match self.0.load(Ordering::Relaxed) {
            0 => {
                let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
                let first = self.0.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
                first.map_or_else(|other| other, |_| new)
            }
            number => number,
        }
    }
}

/// The newest value is on a device.
struct Ahead {
    id: SlotId,
    ty: TensorType,
    resident: Arc<dyn Resident>,
    /// Why a value could not be fetched; the store's.
    lost: Arc<OnceLock<String>>,
    /// The value, once somebody has looked.
    fetched: OnceLock<Array>,
    /// Until then: the host's old value, to whose memory it is fetched.
    stale: Mutex<Option<Array>>,
}

impl Ahead {
    fn value(&self) -> &Array {
        self.fetched.get_or_init(|| self.fetch())
    }

    fn into_value(mut self) -> Array {
        self.fetched.take().unwrap_or_else(|| self.fetch())
    }

    /// After a first failure no more is asked of the device.
    fn fetch(&self) -> Array {
        let stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut value = stale.unwrap_or_else(|| Array::zeros(self.ty.dtype, self.ty.shape.clone()));
        if self.lost.get().is_none()
            && let Err(problem) = self.resident.fetch(self.id, &mut value)
        {
            self.lost.get_or_init(|| problem);
        }
        value
    }

    /// What was fetched is old now.
    fn moved_on(&mut self) {
        if let Some(old) = self.fetched.take() {
            *self.stale.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(old);
        }
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on a device, fetched: {:?}", self.ty, self.fetched.get())
    }
}
