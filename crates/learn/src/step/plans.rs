//! The programs that a step is made of.

use ironlearn_ir::{Program, TensorType};

/// The programs of one signature.
pub struct Plan {
    pub inputs: Vec<TensorType>,
    pub whole: Box<dyn Program>,
    pub parts: Option<Parts>,
}

impl Plan {
    /// All of them.
    pub fn programs(&self) -> impl Iterator<Item = &dyn Program> {
        let parts = self.parts.iter().flat_map(|p| [&*p.gather, &*p.finish]);
        std::iter::once(&*self.whole).chain(parts)
    }
}

/// The programs of gradient accumulation.
pub struct Parts {
    pub gather: Box<dyn Program>,
    pub finish: Box<dyn Program>,
}
