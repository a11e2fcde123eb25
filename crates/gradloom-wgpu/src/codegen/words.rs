//! [`Words`]: the 32-bit words that a kernel gets with each evaluation, numbered for the kernel alone.
//!
//! The same kernel at two places of a plan (an optimizer's step for two weights, two lookups) differs in
//! its words only, so both share one shader.

use gradloom_plan::{Instruction, Operation};

/// What one word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Word {
    /// An argument of the plan.
    Argument(usize),
    /// The number of the graph node on whose behalf an index is checked.
    Site(usize),
}

/// The words of a kernel, in the order in which its program mentions them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words(Vec<Word>);

impl Words {
    /// The words of a program.
    pub(crate) fn of(instructions: &[Instruction]) -> Words {
        let mut words = Words::default();
        for instruction in instructions {
            match instruction.operation {
                Operation::Argument(argument) => words.add(Word::Argument(argument)),
                Operation::Random { key, .. } => {
                    words.add(Word::Argument(key[0]));
                    words.add(Word::Argument(key[1]));
                }
                Operation::CheckIndex { site, .. } => words.add(Word::Site(site)),
                Operation::Load { .. }
                | Operation::Accumulator
                | Operation::Constant(_)
                | Operation::Index(_)
                | Operation::Unary(..)
                | Operation::Binary(..)
                | Operation::Select(..)
                | Operation::Cast(_)
                | Operation::Reduce(..) => {}
            }
        }
        words
    }

    fn add(&mut self, word: Word) {
        if !self.0.contains(&word) {
            self.0.push(word);
        }
    }

    /// Number of words.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All words in order.
    pub(crate) fn list(&self) -> &[Word] {
        &self.0
    }

    /// A word as a WGSL expression.
    pub(crate) fn expression(&self, word: Word) -> String {
        let position = self.0.iter().position(|&other| other == word);
        let position =
            position.unwrap_or_else(|| unreachable!("{word:?} is no word of the program"));
        format!("words[{}].{}", position / 4, ["x", "y", "z", "w"][position % 4])
    }
}
