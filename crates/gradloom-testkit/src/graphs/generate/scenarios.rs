//! Which nodes are asked for, and how.

use gradloom_tensor::RANK_MAX;

use super::maker::Maker;
use crate::graphs::recipe::{Recipe, Step};
use crate::graphs::scenario::Scenario;

/// The recipe of what was made.
pub(super) fn finish(mut maker: Maker<'_>) -> Recipe {
    let roots = roots(&mut maker);
    let scenario = scenario(&mut maker, &roots);
    let roots = match scenario {
        Scenario::Alone => Vec::from_iter(0..maker.steps.len()),
        _ => roots,
    };
    Recipe { steps: maker.steps, roots, scenario }
}

/// The last node, what nobody reads, and some others; now and then one twice.
fn roots(maker: &mut Maker<'_>) -> Vec<usize> {
    let last = maker.steps.len() - 1;
    let mut read = vec![false; maker.steps.len()];
    for step in &maker.steps {
        step.operands().iter().for_each(|&operand| read[operand] = true);
    }
    let mut roots = vec![last];
    for node in 0..last {
        let chance = match (read[node], &maker.steps[node]) {
            (false, Step::Call { .. }) => 2,
            (true, Step::Call { .. }) => 6,
            (_, Step::Leaf { .. }) => 40,
        };
        if maker.dice.once_in(chance) {
            roots.push(node);
        }
    }
    if maker.dice.once_in(20) {
        roots.push(maker.dice.pick(&roots));
    }
    maker.dice.shuffled(roots)
}

fn scenario(maker: &mut Maker<'_>, roots: &[usize]) -> Scenario {
    let kind = if maker.options.gradients_only { 4 } else { maker.dice.below(19) };
    let some = |maker: &mut Maker<'_>, nodes: &[usize], most: usize| -> Vec<usize> {
        let count = maker.dice.between(1, most).min(nodes.len());
        let mut chosen = maker.dice.shuffled(nodes.to_vec());
        chosen.truncate(count);
        chosen.sort_unstable();
        chosen
    };
    let floats: Vec<usize> =
        (0..maker.steps.len()).filter(|&node| maker.dtype_of(node).is_float()).collect();
    let leaves: Vec<usize> = (0..maker.steps.len())
        .filter(|&node| matches!(maker.steps[node], Step::Leaf { .. }))
        .collect();
    let float_leaves: Vec<usize> =
        leaves.iter().copied().filter(|&leaf| maker.dtype_of(leaf).is_float()).collect();
    let float_roots = roots.iter().any(|&root| maker.dtype_of(root).is_float());
    match kind {
        0..=2 => Scenario::Together,
        3 => Scenario::Alone,
        4..=7 if float_roots && !floats.is_empty() => {
            let pool = if float_leaves.is_empty() || maker.dice.once_in(3) {
                &floats
            } else {
                &float_leaves
            };
            let of = some(maker, pool, 3);
            Scenario::Gradients { of, order: maker.dice.pick(&[1, 1, 2]) }
        }
        8 | 9 => {
            let all = Vec::from_iter(0..maker.steps.len());
            Scenario::After(some(maker, &all, 3))
        }
        10 => Scenario::Replay { times: maker.dice.between(2, 3) },
        11 | 12 => {
            let updates = updates(maker, &leaves);
            match updates.is_empty() {
                true => Scenario::Together,
                false => Scenario::Carry { updates, steps: maker.dice.between(1, 3) },
            }
        }
        13 if float_roots && !float_leaves.is_empty() => {
            let weights = some(maker, &float_leaves, 3);
            Scenario::Train { weights, steps: maker.dice.between(1, 3) }
        }
        14 => Scenario::Threads { count: 2 },
        15 if float_roots && !float_leaves.is_empty() => {
            let all = Vec::from_iter(0..maker.steps.len());
            let first = some(maker, &all, 3);
            Scenario::Later { first, of: some(maker, &float_leaves, 3) }
        }
        16 if float_roots && !floats.is_empty() => {
            Scenario::Forward { along: some(maker, &floats, 2) }
        }
        17 | 18 => vmap(maker, &leaves, roots),
        _ => Scenario::Together,
    }
}

/// Some leaves with examples, where every result has room for one axis more.
fn vmap(maker: &mut Maker<'_>, leaves: &[usize], roots: &[usize]) -> Scenario {
    let room = |maker: &Maker<'_>, nodes: &[usize]| -> Vec<usize> {
        nodes.iter().copied().filter(|&node| maker.rank_of(node) < RANK_MAX).collect()
    };
    let roomy = room(maker, leaves);
    if roomy.is_empty() || room(maker, roots).len() < roots.len() {
        return Scenario::Together;
    }
    let mut chosen = Vec::new();
    let mut of = Vec::new();
    for leaf in maker.dice.shuffled(roomy) {
        if chosen.is_empty() || maker.dice.once_in(2) {
            let axis = maker.dice.between(0, maker.rank_of(leaf));
            chosen.push((leaf, axis));
        }
        if of.len() < 2 && maker.dtype_of(leaf).is_float() && maker.dice.once_in(3) {
            of.push(leaf);
        }
    }
    Scenario::Vmap { leaves: chosen, size: maker.dice.between(1, 3), of }
}

/// Leaves with other nodes of their shape and dtype.
fn updates(maker: &mut Maker<'_>, leaves: &[usize]) -> Vec<(usize, usize)> {
    let mut updates = Vec::new();
    for &leaf in leaves {
        let alike = maker.find(|maker, node| {
            node > leaf
                && maker.dtype_of(node) == maker.dtype_of(leaf)
                && maker.shape_of(node) == maker.shape_of(leaf)
        });
        updates.extend(alike.map(|node| (leaf, node)));
    }
    updates
}
