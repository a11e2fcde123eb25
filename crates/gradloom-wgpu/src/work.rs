//! [`Work`]: the dispatches of a kernel, in order: some, or those of a loop as often as it has steps.

use std::ops::Range;

/// What a kernel does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Dispatches of the plan, by number.
    Steps(Range<usize>),
    /// A loop.
    Loop(Box<LoopWork>),
}

/// The dispatches of a loop.
#[derive(Clone, Debug)]
pub(crate) struct LoopWork {
    pub(crate) length: usize,
    /// The last step runs first.
    pub(crate) reverse: bool,
    /// Once, before all steps.
    pub(crate) before: Vec<Work>,
    /// At each step, in turns: carries that go back and forth between two blocks are in other memory at every
    /// second one.
    pub(crate) turns: Vec<Vec<Work>>,
    /// Once, after all steps.
    pub(crate) after: Vec<Work>,
}

/// One dispatch of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its number in the plan.
    pub(crate) step: usize,
    /// The step of the innermost loop around it.
    pub(crate) turn: u32,
}

impl Work {
    /// Appends the dispatches of all works, one after another.
    pub(crate) fn unroll(works: &[Work], turn: u32, calls: &mut Vec<Call>) {
        for work in works {
            match work {
                Work::Steps(steps) => calls.extend(steps.clone().map(|step| Call { step, turn })),
                Work::Loop(own) => own.unroll(calls),
            }
        }
    }

    /// The most steps of one of the loops.
    pub(crate) fn longest(works: &[Work]) -> usize {
        let loops = works.iter().filter_map(|work| match work {
            Work::Steps(_) => None,
            Work::Loop(own) => {
                let inside = own.turns.first().map_or(0, |works| Work::longest(works));
                Some(own.length.max(inside))
            }
        });
        loops.max().unwrap_or(0)
    }
}

impl LoopWork {
    fn unroll(&self, calls: &mut Vec<Call>) {
        Work::unroll(&self.before, 0, calls);
        for (turn, works) in (0..self.length).zip(self.turns.iter().cycle()) {
            let step = if self.reverse { self.length - 1 - turn } else { turn };
            Work::unroll(works, step as u32, calls);
        }
        Work::unroll(&self.after, 0, calls);
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, LoopWork, Work};

    #[test]
    fn loops_take_turns_and_begin_anew_inside_of_others() {
        let steps = |step: usize| vec![Work::Steps(step..step + 1)];
        let inner = LoopWork {
            length: 3,
            reverse: true,
            before: steps(0),
            turns: vec![steps(1), steps(2)],
            after: steps(3),
        };
        let outer = LoopWork {
            length: 2,
            reverse: false,
            before: Vec::new(),
            turns: vec![vec![Work::Loop(Box::new(inner)), Work::Steps(4..6)]],
            after: Vec::new(),
        };
        let works = [Work::Loop(Box::new(outer))];
        let mut calls = Vec::new();
        Work::unroll(&works, 0, &mut calls);
        let once = [(0, 0), (1, 2), (2, 1), (1, 0), (3, 0)];
        let expected = [0, 1].map(|turn| [&once[..], &[(4, turn), (5, turn)]].concat()).concat();
        let expected = expected.into_iter().map(|(step, turn)| Call { step, turn });
        assert_eq!(calls, expected.collect::<Vec<_>>());
        assert_eq!(Work::longest(&works), 3);
    }
}
