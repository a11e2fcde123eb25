//! Reducing groups of the same rows become one: side by side if they read the same operand, one after
//! the other if the rows of the second are all that use the results of the first.

use crate::bits::Bits;
use crate::graph::{Class, Graph};
use crate::partition::{Group, Partition, reads_row};
use crate::storing::Storing;

/// Merges reducing groups of one space.
pub(crate) fn merge(graph: &Graph, partition: &mut Partition, storing: &Storing) {
    let count = partition.groups.len();
    for first in 0..count {
        for second in first + 1..count {
            let (a, b) = (&partition.groups[first], &partition.groups[second]);
            if a.heavy.is_some()
                || b.heavy.is_some()
                || a.members.is_empty()
                || b.members.is_empty()
                || a.space != b.space
                || a.order != b.order
                || !reduces(graph, a)
                || !reduces(graph, b)
                || a.before.contains(second)
            {
                continue;
            }
            let together = if b.before.contains(first) {
                a.order.is_none() && only_feeds(graph, partition, storing, first, second)
            } else {
                share_operand(graph, storing, a, b)
            };
            if !together {
                continue;
            }
            absorb(partition, first, second);
        }
    }
}

fn reduces(graph: &Graph, group: &Group) -> bool {
    group.members.iter().any(|&member| graph.nodes[member].class == Class::Reduce)
}

/// True if everything stored in `first` is used in `second` alone, row by row, and nothing runs between.
fn only_feeds(
    graph: &Graph,
    partition: &Partition,
    storing: &Storing,
    first: usize,
    second: usize,
) -> bool {
    let between = partition.groups.iter().enumerate().any(|(index, group)| {
        index != second
            && group.before.contains(first)
            && partition.groups[second].before.contains(index)
    });
    let own = &partition.groups[first];
    let rows = own.space.rows();
    !between
        && own.members.iter().filter(|&&member| storing.stored[member]).all(|&member| {
            graph.nodes[member].shape.count() == rows
                && graph.users[member].iter().all(|&user| {
                    partition.group_of[user] == Some(second)
                        && reads_row(graph, user, member, &own.space)
                })
        })
}

fn share_operand(graph: &Graph, storing: &Storing, a: &Group, b: &Group) -> bool {
    let first = operands(graph, storing, a);
    operands(graph, storing, b).iter().any(|operand| first.contains(operand))
}

/// Stored bases that a group reads, through whatever is computed again.
fn operands(graph: &Graph, storing: &Storing, group: &Group) -> Vec<usize> {
    let mut found = Vec::new();
    let mut stack = group.members.clone();
    let mut seen = Vec::new();
    while let Some(node) = stack.pop() {
        for &input in &graph.nodes[node].inputs {
            let base = graph.base(input);
            let leaf = matches!(graph.nodes[base].class, Class::Leaf(_));
            if (leaf || storing.stored[base]) && !group.members.contains(&base) {
                // Small operands, such as a vector that is broadcast, are no reason to merge.
                if graph.nodes[base].shape.count() * 8 > group.space.shape.count()
                    && !found.contains(&base)
                {
                    found.push(base);
                }
            } else if graph.nodes[base].class == Class::Elementwise && !seen.contains(&base) {
                seen.push(base);
                stack.push(base);
            }
        }
    }
    found
}

fn absorb(partition: &mut Partition, first: usize, second: usize) {
    let absorbed = std::mem::take(&mut partition.groups[second].members);
    for &member in &absorbed {
        partition.group_of[member] = Some(first);
    }
    let before = std::mem::take(&mut partition.groups[second].before);
    let own = &mut partition.groups[first];
    own.members.extend(absorbed);
    own.members.sort_unstable();
    own.before.union(&before);
    let mut total: Bits = own.before.clone();
    total.insert(first);
    for (index, group) in partition.groups.iter_mut().enumerate() {
        if index != first && (group.before.contains(first) || group.before.contains(second)) {
            group.before.union(&total);
        }
    }
}
