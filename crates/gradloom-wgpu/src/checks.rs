//! Index checks: kernels report the first failure by numbers, which are turned into an op and a place
//! in the caller's program here.

use std::collections::HashMap;
use std::panic::Location;

use gradloom_tensor::Error;

/// Where an index check was made: the op and its place in the caller's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CheckSite {
    /// The op on whose behalf the check is made.
    pub op: &'static str,
    /// Where the op was made.
    pub location: &'static Location<'static>,
}

/// Sites of evaluations with index checks; equal lists share a number, so a loop adds none.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    numbers: HashMap<Vec<(usize, usize, CheckSite)>, u32>,
    lists: Vec<Vec<(usize, usize, CheckSite)>>,
}

impl Sites {
    /// The number of the list of sites of a plan's checks, each a node and the size it checks against.
    pub(crate) fn intern(
        &mut self,
        checks: &[(usize, usize)],
        site: &dyn Fn(usize) -> CheckSite,
    ) -> u32 {
        let list: Vec<(usize, usize, CheckSite)> =
            checks.iter().map(|&(node, size)| (node, size, site(node))).collect();
        if let Some(&number) = self.numbers.get(&list) {
            return number;
        }
        let number = self.lists.len() as u32;
        self.lists.push(list.clone());
        self.numbers.insert(list, number);
        number
    }

    /// The error that the status words describe: taken, evaluation, site, value.
    pub(crate) fn error(&self, [_, evaluation, site, value]: [u32; 4]) -> Error {
        let list = self.lists.get(evaluation as usize);
        let found = list.and_then(|list| list.iter().find(|entry| entry.0 == site as usize));
        let index = i64::from(value as i32);
        match found {
            Some((_, size, place)) => {
                Error::index_out_of_range(place.op, index, *size, place.location)
            }
            None => Error::backend(format!("index {index} out of range")),
        }
    }
}
