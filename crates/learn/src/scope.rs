//! [`Scope`]: names parameters, makes them, and owns the store that they live in.

use crate::Error;
use crate::init::{Init, NoArray, Stream};
use crate::memory::shown;
use ironlearn_ir::{Array, Element, Real, Role, Shape, SlotId, Store, Tape, TensorType, Var};
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;

/// A place in a model: a path such as `decoder.hidden`, and the store and the seed of the whole model.
///
/// A clone is another handle to the same store. Mistakes (a name given twice) are collected and reported
/// when a step is built, with the line of each.
///
/// ```
/// use ironlearn::{Init, Scope};
///
/// let model = Scope::root(7);
/// let weight = model.at("hidden").param::<f32>("weight", [3, 4], &Init::XavierUniform);
/// assert_eq!(weight.name(), "hidden.weight");
/// assert_eq!(model.store().len(), 1);
/// ```
#[derive(Clone)]
pub struct Scope {
    shared: Rc<Shared>,
    path: Rc<str>,
}

/// What to do about a name that is taken.
const OWN_NAME: &str =
    "\n  note: give each layer a name of its own, as in `Linear::new(&scope.at(\"out\"), 3, 1)`";

struct Shared {
    seed: u64,
    store: RefCell<Store>,
    mistakes: RefCell<Vec<String>>,
    /// Bytes that further slots may take, where there is a limit.
    room: Cell<Option<u64>>,
    /// The slots for which there was no memory: name and shape, and bytes.
    no_memory: RefCell<Vec<(String, u64)>>,
}

impl Scope {
    /// The outermost scope of a model with an empty store. Initial values depend on the seed and on the
    /// parameter's path alone, so the order of construction does not matter.
    pub fn root(seed: u64) -> Scope {
        Scope::with_room(seed, None)
    }

    /// The same of a model whose slots may take so many bytes: one that takes more is a mistake, and is found
    /// before there is memory for it.
    pub fn within(seed: u64, bytes: u64) -> Scope {
        Scope::with_room(seed, Some(bytes))
    }

    fn with_room(seed: u64, room: Option<u64>) -> Scope {
        let (store, mistakes) = (RefCell::default(), RefCell::default());
        let shared = Shared { seed, store, mistakes, room: Cell::new(room), no_memory: RefCell::default() };
        Scope { shared: Rc::new(shared), path: "".into() }
    }

    /// The scope of a part of this one.
    pub fn at(&self, name: impl fmt::Display) -> Scope {
        Scope { shared: self.shared.clone(), path: self.join(&name).into() }
    }

    fn join(&self, name: &dyn fmt::Display) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }

    /// The path; empty at the root.
    pub fn path(&self) -> &Rc<str> {
        &self.path
    }

    /// The seed of initial values and of the run.
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// The store, to be looked at.
    ///
    /// # Panics
    /// Where what [`Scope::store_mut`] gave is still held.
    pub fn store(&self) -> Ref<'_, Store> {
        self.shared.store.borrow()
    }

    /// The store, to be changed, as by loading a checkpoint.
    ///
    /// # Panics
    /// Where what this or [`Scope::store`] gave is still held.
    pub fn store_mut(&self) -> RefMut<'_, Store> {
        self.shared.store.borrow_mut()
    }

    /// The store for a run.
    pub(crate) fn store_for_run(&self) -> Result<RefMut<'_, Store>, Error> {
        let store = self.shared.store.try_borrow_mut().map_err(|_| {
            Error::usage(
                "the store is still held elsewhere while a step runs",
                "drop what `scope.store()` gave",
            )
        })?;
        store.lost().map_or(Ok(()), |problem| Err(Error::device(problem)))?;
        Ok(store)
    }

    /// Freezes the parameters whose names the predicate picks, or sets them free: steps built later leave
    /// frozen ones as they are.
    pub fn set_trainable(&self, picks: impl Fn(&str) -> bool, trainable: bool) {
        let mut store = self.store_mut();
        for id in store.ids() {
            let slot = store.slot_mut(id);
            if slot.role == Role::Parameter && picks(&slot.name) {
                slot.trainable = trainable;
            }
        }
    }

    /// A trainable parameter with initial values.
    #[track_caller]
    pub fn param<T: Real>(&self, name: &str, shape: impl Into<Shape>, init: &Init) -> Param<T> {
        self.slot(Role::Parameter, name, shape.into(), init)
    }

    /// A value that training moves without gradients, such as a running mean; all elements equal.
    #[track_caller]
    pub fn statistic<T: Real>(&self, name: &str, shape: impl Into<Shape>, value: f64) -> Param<T> {
        self.slot(Role::Statistic, name, shape.into(), &Init::Constant(value))
    }

    /// A part of the model that stays as it was initialised, such as random frequencies.
    #[track_caller]
    pub fn fixed<T: Real>(&self, name: &str, shape: impl Into<Shape>, init: &Init) -> Param<T> {
        self.slot(Role::Statistic, name, shape.into(), init)
    }

    #[track_caller]
    fn slot<T: Real>(&self, role: Role, name: &str, shape: Shape, init: &Init) -> Param<T> {
        let name = self.join(&name);
        let at = Location::caller();
        let taken = self.store().find(&name).map(|id| self.store().ty(id));
        let added = match taken {
            Some(ty) => Err(format!("the name `{name}` is taken by a {ty}\n  --> {at}{OWN_NAME}")),
            None => self
                .take_room(&shape, T::DTYPE.size())
                .and_then(|()| init.array::<T>(&shape, Stream::new(self.seed(), &name)))
                .and_then(|value| Ok(self.store_mut().add(&name, role, value)?))
                .map_err(|problem| self.problem(&name, &shape, problem, at)),
        };
        let slot = added.unwrap_or_else(|problem| {
            self.shared.mistakes.borrow_mut().push(format!("error: {problem}"));
            self.stand_in(&name)
        });
        Param { slot, ty: TensorType::new(T::DTYPE, shape), name: name.into(), of: PhantomData }
    }

    /// What is said of a slot that cannot be made.
    fn problem(&self, name: &str, shape: &Shape, problem: NoArray, at: &Location<'_>) -> String {
        let problem = match problem {
            NoArray::Mistake(problem) => problem,
            NoArray::Memory(bytes) => {
                self.shared.no_memory.borrow_mut().push((format!("`{name}`, {shape}"), bytes));
                format!("no memory for {shape}, {bytes} bytes")
            }
        };
        format!("`{name}`: {problem}\n  --> {at}")
    }

    fn take_room(&self, shape: &Shape, size: usize) -> Result<(), NoArray> {
        let all = shape.iter().fold(size as u64, |n, &d| n.saturating_mul(d as u64));
        if let Some(room) = self.shared.room.get() {
            let left = room.checked_sub(all).ok_or_else(|| {
                let (asked, room) = (shown(all), shown(room));
                format!("no memory for {shape}, {asked}: the model may take {room} more")
            })?;
            self.shared.room.set(Some(left));
        }
        Ok(())
    }

    /// A slot to go on with after a mistake, so that the others are found too. It has a name of its own: what
    /// is traced with it keeps the type that was asked for.
    fn stand_in(&self, name: &str) -> SlotId {
        let mut store = self.store_mut();
        let name = format!("{name} (mistake {})", store.len());
        store.add(&name, Role::Statistic, Array::scalar(0.0f32)).unwrap_or(SlotId(0))
    }

    /// Every mistake made in this model so far.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        self.shared.mistakes.borrow().clone()
    }

    /// An error where there was no memory for a slot, and nothing else is wrong.
    pub(crate) fn check_memory(&self) -> Result<(), Error> {
        let no_memory = self.shared.no_memory.borrow();
        let Some((what, bytes)) = no_memory.first().filter(|_| no_memory.len() == self.mistakes().len())
        else {
            return Ok(());
        };
        let hint = "use narrower layers, or a machine with more memory".into();
        Err(Error::Memory { what: what.clone(), bytes: *bytes, hint })
    }

    /// Every mistake made in this model so far, as one error.
    ///
    /// # Errors
    /// [`Error::Memory`] for the first slot for which there was none; [`Error::Usage`] with the mistakes.
    pub fn check(&self) -> Result<(), Error> {
        self.check_memory()?;
        let found = self.mistakes();
        if found.is_empty() { Ok(()) } else { Err(crate::step::mistakes(&found)) }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:?}, {} slots)", self.path, self.store().len())
    }
}

/// A piece of a model's state with elements of type `T`: a handle to a slot of its scope's store.
pub struct Param<T> {
    slot: SlotId,
    ty: TensorType,
    name: Rc<str>,
    of: PhantomData<T>,
}

impl<T> Clone for Param<T> {
    fn clone(&self) -> Self {
        Param { slot: self.slot, ty: self.ty.clone(), name: self.name.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for Param<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.ty)
    }
}

impl<T> Param<T> {
    /// The handle of a slot that is there.
    pub(crate) fn of(slot: SlotId, ty: TensorType, name: &str) -> Self {
        Param { slot, ty, name: name.into(), of: PhantomData }
    }
    /// The slot in the store.
    pub fn slot(&self) -> SlotId {
        self.slot
    }
    /// The path-like name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Lengths along the axes.
    pub fn shape(&self) -> &Shape {
        &self.ty.shape
    }
}

impl<T: Element> Param<T> {
    /// The value in a trace. Reading a parameter in several places is weight sharing.
    #[track_caller]
    pub fn read<'g>(&self, tape: &'g Tape) -> Var<'g, T> {
        Var::of(tape.slot(self.slot, self.ty.clone()))
    }

    /// Sets the value that the slot has after the step.
    #[track_caller]
    pub fn assign<'g>(&self, value: Var<'g, T>) {
        let tape = value.tape();
        if value.shape() != self.ty.shape && !value.node().is_poison() {
            let message = format!("`{}` is {}, not {}", self.name, self.ty, value.node().ty());
            tape.error(message, vec![value.node().describe()]);
        } else {
            tape.assign(self.slot, value.node());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_given_twice_is_reported_with_its_line() {
        let s = Scope::root(0);
        s.param::<f32>("w", [2], &Init::Zeros);
        s.param::<f32>("w", [3], &Init::Zeros);
        let text = s.check().unwrap_err().to_string();
        assert!(text.contains("`w`") && text.contains("scope.rs:"), "{text}");
    }

    #[test]
    fn after_a_mistake_the_type_that_was_asked_for_is_traced() {
        let s = Scope::root(0);
        s.param::<f32>("w", [2], &Init::Zeros);
        let second = s.param::<f64>("w", [3], &Init::Zeros);
        let tape = Tape::new(ironlearn_ir::Mode::Train);
        assert_eq!(second.read(&tape).node().ty(), TensorType::new(ironlearn_ir::DType::F64, [3]));
        assert_eq!(s.store().trainable().len(), 1);
    }

    #[test]
    fn initial_values_that_are_not_finite_are_a_mistake() {
        let s = Scope::root(0);
        s.param::<f32>("w", [2, 2], &Init::Siren(0.0));
        let text = s.check().unwrap_err().to_string();
        assert!(text.contains("`w`") && text.contains("Siren(0.0)"), "{text}");
    }

    #[test]
    fn a_shape_that_no_memory_holds_is_a_mistake_and_no_panic() {
        let s = Scope::root(0);
        s.param::<f32>("w", [usize::MAX, 2], &Init::Zeros);
        s.param::<f32>("v", [1 << 58], &Init::Zeros);
        let text = s.check().unwrap_err().to_string();
        assert!(text.contains("`w`") && text.contains("`v`"), "{text}");
    }

    #[test]
    fn values_do_not_depend_on_the_order_of_construction() {
        let (a, b) = (Scope::root(3), Scope::root(3));
        a.param::<f32>("x", [4], &Init::Normal(1.0));
        let a = a.param::<f32>("y", [4], &Init::Normal(1.0)).slot();
        let values = |scope: &Scope, slot| scope.store().slot(slot).value().clone();
        let first = b.param::<f32>("y", [4], &Init::Normal(1.0)).slot();
        let scope = Scope::root(3);
        scope.param::<f32>("x", [4], &Init::Normal(1.0));
        let again = scope.param::<f32>("y", [4], &Init::Normal(1.0)).slot();
        assert_ne!(a, first);
        assert_eq!(values(&scope, again), values(&b, first));
    }
}
