//! Reducing groups of the same rows become one: side by side if they read the same operand, one after
//! the other if the rows of the second are all that use the results of the first.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::graph::Graph;
use crate::node::Class;
use crate::partition::{Group, MEMBERS_MAX, Partition, operand_steps};
use crate::program::Level;
use crate::storing::Storing;

/// Groups with an operand in common that are looked at for one of them.
const CANDIDATES_MAX: usize = 64;

/// Merges reducing groups of one space.
pub(crate) fn merge(graph: &Graph, partition: &mut Partition, storing: &Storing) {
    let mut merging = Merging::new(graph, partition, storing);
    for first in merging.reducing.clone() {
        let mut candidates = merging.candidates(partition, first);
        while let Some(second) = candidates.pop_first() {
            if merging.fits(partition, first, second) {
                merging.absorb(partition, first, second);
                let more = merging.candidates(partition, first);
                candidates.extend(more.into_iter().filter(|&other| other > second));
            }
        }
    }
}

struct Merging<'a> {
    graph: &'a Graph,
    storing: &'a Storing,
    /// Groups that reduce, in order.
    reducing: Vec<usize>,
    /// Large stored operands of each of them.
    operands: FxHashMap<usize, Vec<usize>>,
    /// Groups that reduce, by such an operand.
    readers: FxHashMap<usize, Vec<usize>>,
}

impl<'a> Merging<'a> {
    fn new(graph: &'a Graph, partition: &Partition, storing: &'a Storing) -> Merging<'a> {
        let reduces = |group: &Group| {
            let mut members = group.members.iter();
            group.structured.is_none()
                && members.any(|&member| graph.nodes[member].class == Class::Reduce)
        };
        let reducing: Vec<usize> = (0..partition.groups.len())
            .filter(|&group| reduces(&partition.groups[group]))
            .collect();
        let mut operands = FxHashMap::default();
        let mut readers: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        for &group in &reducing {
            let found = large_operands(graph, storing, &partition.groups[group]);
            for &operand in &found {
                readers.entry(operand).or_default().push(group);
            }
            operands.insert(group, found);
        }
        Merging { graph, storing, reducing, operands, readers }
    }

    /// Later groups that share an operand with a group or read its results.
    fn candidates(&self, partition: &Partition, first: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        if partition.groups[first].members.is_empty() {
            return found;
        }
        for operand in &self.operands[&first] {
            let readers = &self.readers[operand];
            let later = readers.partition_point(|&reader| reader <= first);
            found.extend(readers[later..].iter().take(CANDIDATES_MAX));
        }
        let users = partition.order.users(first).iter();
        found.extend(users.filter(|&&user| user > first && self.operands.contains_key(&user)));
        found
    }

    fn fits(&self, partition: &Partition, first: usize, second: usize) -> bool {
        let (a, b) = (&partition.groups[first], &partition.groups[second]);
        if a.members.is_empty()
            || b.members.is_empty()
            || a.members.len() + b.members.len() > MEMBERS_MAX
            || a.space != b.space
            || a.order != b.order
            || partition.order.depends(first, second) != Some(false)
        {
            return false;
        }
        match partition.order.depends(second, first) {
            Some(true) => a.order.is_none() && self.only_feeds(partition, first, second),
            Some(false) => {
                let own = &self.operands[&first];
                self.operands[&second].iter().any(|operand| own.contains(operand))
            }
            None => false,
        }
    }

    /// True if everything stored in `first` is used in `second` alone, row by row, and nothing runs
    /// between.
    fn only_feeds(&self, partition: &Partition, first: usize, second: usize) -> bool {
        let own = &partition.groups[first];
        let rows = own.space.rows();
        let mut stored = own.members.iter().filter(|&&member| self.storing.stored[member]);
        partition.order.runs_between(first, second) == Some(false)
            && stored.all(|&member| {
                self.graph.nodes[member].shape.count() == rows
                    && self.graph.users[member].iter().all(|&user| {
                        partition.group_of[user] == Some(second)
                            && self.reads_row(partition, user, member, second)
                    })
            })
    }

    /// True if a member of a group reads a value of the same rows as its own row does.
    fn reads_row(&self, partition: &Partition, user: usize, value: usize, group: usize) -> bool {
        let space = &partition.groups[group].space;
        let entry = &self.graph.nodes[user];
        // A reduction reads along the whole row, whatever its own level is.
        let at = match entry.class {
            Class::Reduce => Level::Element,
            _ => partition.level[user],
        };
        entry.inputs.iter().filter(|&&input| self.graph.base(input) == value).all(|&input| {
            let steps = operand_steps(self.graph, user, input);
            let count = match entry.class {
                Class::Reduce => self.graph.nodes[input].shape.count(),
                _ => entry.shape.count(),
            };
            let expected = match at {
                Level::Element => space.shape.count(),
                Level::Row => space.rows(),
            };
            let shape = self.graph.nodes[value].shape;
            count == expected && space.is_aligned(shape, Level::Row, &steps, at)
        })
    }

    fn absorb(&mut self, partition: &mut Partition, first: usize, second: usize) {
        let absorbed = std::mem::take(&mut partition.groups[second].members);
        for &member in &absorbed {
            partition.group_of[member] = Some(first);
        }
        let own = &mut partition.groups[first];
        own.members.extend(absorbed);
        own.members.sort_unstable();
        partition.order.merge(first, second);
        let more = self.operands.get(&second).cloned().unwrap_or_default();
        let operands = self.operands.entry(first).or_default();
        for operand in more {
            if !operands.contains(&operand) {
                operands.push(operand);
            }
        }
    }
}

/// Stored bases that a group reads, through whatever is computed again. Small ones, such as a vector
/// that is broadcast, are no reason to merge.
fn large_operands(graph: &Graph, storing: &Storing, group: &Group) -> Vec<usize> {
    let mut found = Vec::new();
    let mut stack = group.members.clone();
    let mut seen = Vec::new();
    while let Some(node) = stack.pop() {
        for &input in &graph.nodes[node].inputs {
            let base = graph.base(input);
            let leaf = matches!(graph.nodes[base].class, Class::Leaf(_));
            if (leaf || storing.stored[base]) && !group.members.contains(&base) {
                if graph.nodes[base].shape.count() * 8 > group.space.shape.count()
                    && !found.contains(&base)
                {
                    found.push(base);
                }
            } else if graph.nodes[base].class.is_elementwise() && !seen.contains(&base) {
                seen.push(base);
                stack.push(base);
            }
        }
    }
    found
}
