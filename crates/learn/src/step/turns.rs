//! [`Turns`]: programs of which one runs at a time.

use ironlearn_ir::{Failure, Program, Store};

/// Programs that take turns: whose turn it is has the working memory of the one before, where the executor can hand it
/// over. So a smaller last batch, or the parts of a step, need none of their own.
#[derive(Default)]
pub struct Turns {
    programs: Vec<Box<dyn Program>>,
    /// Whose turn it was last.
    last: usize,
}

impl Turns {
    /// Adds a program, and gives its number. It has the memory of those before, or they have lost theirs for its own.
    pub fn add(&mut self, program: Box<dyn Program>) -> usize {
        self.programs.push(program);
        let number = self.programs.len() - 1;
        self.next(number);
        number
    }

    /// The program of this number. Only the one that ran last has outputs.
    pub fn get(&self, number: usize) -> &dyn Program {
        &*self.programs[number]
    }

    /// The program of this number, which is to run next.
    pub fn next(&mut self, number: usize) -> &mut dyn Program {
        let before = std::mem::replace(&mut self.last, number);
        if before != number
            && let Some(memory) = self.programs[before].take_memory()
        {
            self.programs[number].give_memory(memory);
        }
        &mut *self.programs[number]
    }

    /// Takes the memory for state that they would take when they run.
    ///
    /// # Errors
    /// [`Failure::Memory`] where it is not there.
    pub fn reserve(&mut self, store: &mut Store) -> Result<(), Failure> {
        self.programs.iter_mut().try_for_each(|program| program.reserve(store))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Program> {
        self.programs.iter().map(|program| &**program)
    }

    /// Bytes of working memory: of what is handed over, the most that one of them needs.
    pub fn memory_bytes(&self) -> usize {
        let own: usize =
            self.iter().map(|program| program.memory_bytes() - program.handed_over_bytes()).sum();
        own + self.iter().map(|program| program.handed_over_bytes()).max().unwrap_or(0)
    }
}
