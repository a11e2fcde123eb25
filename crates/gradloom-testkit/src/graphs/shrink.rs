//! [`shrink`]: the smallest recipe that still fails, found by greedy steps.

use gradloom_tensor::DType;

use super::compare::quietly;
use super::graph::Graph;
use super::pattern::Pattern;
use super::recipe::{Recipe, Step};
use super::scenario::Scenario;
use crate::reference;

/// Tries ever simpler recipes, at most `budget` of them, as long as they fail.
pub fn shrink(recipe: &Recipe, budget: usize, fails: &dyn Fn(&Recipe) -> bool) -> Recipe {
    let mut search = Search { best: recipe.clone(), left: budget, fails };
    if recipe.scenario != Scenario::Alone {
        search.offer(recipe.without_unused());
    }
    loop {
        let before = search.left;
        let mut better = false;
        for pass in [Search::scenario, Search::roots, Search::steps, Search::sizes, Search::values]
        {
            better |= pass(&mut search);
        }
        if !better || search.left == 0 || search.left == before {
            return search.best;
        }
    }
}

struct Search<'a> {
    best: Recipe,
    left: usize,
    fails: &'a dyn Fn(&Recipe) -> bool,
}

impl Search<'_> {
    /// Takes a candidate if it still fails.
    fn offer(&mut self, candidate: Recipe) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let better = (self.fails)(&candidate);
        if better {
            self.best = candidate;
        }
        better
    }

    fn scenario(&mut self) -> bool {
        let mut better = false;
        if self.best.scenario == Scenario::Alone && self.best.roots.len() > 1 {
            for root in 0..self.best.steps.len() {
                let candidate = Recipe { roots: vec![root], ..self.best.clone() };
                if self.offer(candidate.without_unused()) {
                    return true;
                }
            }
        }
        let simpler = simpler_scenarios(&self.best.scenario);
        for scenario in simpler {
            let candidate = Recipe { scenario, ..self.best.clone() };
            if self.offer(candidate.without_unused()) {
                better = true;
                break;
            }
        }
        better
    }

    fn roots(&mut self) -> bool {
        let mut better = false;
        let mut position = 0;
        while position < self.best.roots.len() && self.best.roots.len() > 1 {
            let mut candidate = self.best.clone();
            candidate.roots.remove(position);
            if self.offer(candidate.without_unused()) {
                better = true;
            } else {
                position += 1;
            }
        }
        better
    }

    /// Replaces steps by one of their operands or by a leaf.
    fn steps(&mut self) -> bool {
        let mut better = false;
        let mut number = self.best.steps.len();
        while number > 0 {
            number = number.min(self.best.steps.len());
            if number == 0 {
                break;
            }
            number -= 1;
            let operands = self.best.steps[number].operands().to_vec();
            let mut candidates: Vec<Recipe> =
                operands.iter().map(|&operand| self.best.redirected(number, operand)).collect();
            if !operands.is_empty() {
                candidates.extend(self.best.with_leaf(number));
            }
            for candidate in candidates {
                if self.offer(candidate.without_unused()) {
                    better = true;
                    break;
                }
            }
        }
        better
    }

    /// Replaces a size everywhere by a smaller one.
    fn sizes(&mut self) -> bool {
        let mut better = false;
        let mut sizes: Vec<usize> = self.best.steps.iter().flat_map(Step::sizes).collect();
        sizes.sort_unstable();
        sizes.dedup();
        for size in sizes.into_iter().rev().filter(|&size| size > 1) {
            for smaller in [1, 2, size / 2, size - 1] {
                let changed = smaller < size && smaller > 0;
                if changed && self.offer(self.best.resized(size, smaller)) {
                    better = true;
                    break;
                }
            }
        }
        better
    }

    /// Plainer elements and dtypes.
    fn values(&mut self) -> bool {
        let mut better = false;
        for number in 0..self.best.steps.len() {
            let Step::Leaf { dtype, pattern, seed, .. } = self.best.steps[number] else { continue };
            let plainer = [
                (dtype, Pattern::Small, 1, !matches!(pattern, Pattern::Small | Pattern::Index(_))),
                (dtype, pattern, 1, seed != 1),
                (DType::F32, pattern, seed, dtype.is_float() && dtype != DType::F32),
            ];
            for (dtype, pattern, seed, differs) in plainer {
                let mut candidate = self.best.clone();
                if let Step::Leaf { dtype: own, pattern: kind, seed: key, .. } =
                    &mut candidate.steps[number]
                {
                    (*own, *kind, *key) = (dtype, pattern, seed);
                }
                better |= differs && self.offer(candidate);
            }
        }
        better
    }
}

fn simpler_scenarios(scenario: &Scenario) -> Vec<Scenario> {
    let without = |list: &[usize]| -> Vec<Vec<usize>> {
        let rest = |left_out: usize| {
            let kept = list.iter().enumerate().filter(|(at, _)| *at != left_out);
            kept.map(|(_, &node)| node).collect()
        };
        (0..list.len()).map(rest).collect()
    };
    let mut simpler = Vec::new();
    if !matches!(scenario, Scenario::Together | Scenario::Alone) {
        simpler.push(Scenario::Together);
    }
    match scenario {
        Scenario::Together | Scenario::Alone => {}
        Scenario::After(first) => {
            simpler.extend(without(first).into_iter().map(Scenario::After));
        }
        Scenario::Replay { times } if *times > 2 => {
            simpler.push(Scenario::Replay { times: 2 });
        }
        Scenario::Replay { .. } => {}
        Scenario::Gradients { of, order } => {
            if *order > 1 {
                simpler.push(Scenario::Gradients { of: of.clone(), order: 1 });
            }
            if of.len() > 1 {
                let fewer = |of| Scenario::Gradients { of, order: *order };
                simpler.extend(without(of).into_iter().map(fewer));
            }
        }
        Scenario::Later { first, of } => {
            simpler.push(Scenario::Gradients { of: of.clone(), order: 1 });
            let fewer = |first| Scenario::Later { first, of: of.clone() };
            simpler.extend(without(first).into_iter().map(fewer));
            if of.len() > 1 {
                let fewer = |of| Scenario::Later { first: first.clone(), of };
                simpler.extend(without(of).into_iter().map(fewer));
            }
        }
        Scenario::Forward { along } => {
            if along.len() > 1 {
                let fewer = |along| Scenario::Forward { along };
                simpler.extend(without(along).into_iter().map(fewer));
            }
        }
        Scenario::Carry { updates, steps } => {
            if *steps > 1 {
                simpler.push(Scenario::Carry { updates: updates.clone(), steps: steps - 1 });
            }
            for left_out in 0..updates.len() {
                let mut updates = updates.clone();
                updates.remove(left_out);
                simpler.push(Scenario::Carry { updates, steps: *steps });
            }
        }
        Scenario::Train { weights, steps } => {
            if *steps > 1 {
                simpler.push(Scenario::Train { weights: weights.clone(), steps: steps - 1 });
            }
            let fewer = |weights| Scenario::Train { weights, steps: *steps };
            simpler.extend(without(weights).into_iter().map(fewer));
        }
        Scenario::Threads { count } => {
            if *count > 2 {
                simpler.push(Scenario::Threads { count: 2 });
            }
        }
        Scenario::Vmap { leaves, size, of } => {
            let vmap = |leaves: &[(usize, usize)], size: usize, of: &[usize]| Scenario::Vmap {
                leaves: leaves.to_vec(),
                size,
                of: of.to_vec(),
            };
            if *size > 2 {
                simpler.push(vmap(leaves, 2, of));
            }
            simpler.extend(without(of).into_iter().map(|of| vmap(leaves, *size, &of)));
            for left_out in 0..leaves.len() {
                let mut fewer = leaves.clone();
                let leaf = fewer.remove(left_out);
                if !fewer.is_empty() {
                    simpler.push(vmap(&fewer, *size, of));
                }
                if leaf.1 > 0 {
                    fewer.insert(left_out, (leaf.0, 0));
                    simpler.push(vmap(&fewer, *size, of));
                }
            }
        }
    }
    simpler
}

impl Scenario {
    /// Numbers of the nodes that it names.
    fn named(&self) -> Vec<usize> {
        match self {
            Scenario::Together
            | Scenario::Alone
            | Scenario::Replay { .. }
            | Scenario::Threads { .. } => Vec::new(),
            Scenario::After(nodes) | Scenario::Gradients { of: nodes, .. } => nodes.clone(),
            Scenario::Later { first, of } => [first.clone(), of.clone()].concat(),
            Scenario::Forward { along: nodes } | Scenario::Train { weights: nodes, .. } => {
                nodes.clone()
            }
            Scenario::Carry { updates, .. } => {
                updates.iter().flat_map(|&(leaf, node)| [leaf, node]).collect()
            }
            Scenario::Vmap { leaves, of, .. } => {
                leaves.iter().map(|&(leaf, _)| leaf).chain(of.iter().copied()).collect()
            }
        }
    }

    /// The same with other numbers of nodes.
    fn renumbered(&self, map: &dyn Fn(usize) -> usize) -> Scenario {
        let all = |nodes: &[usize]| -> Vec<usize> { nodes.iter().map(|&node| map(node)).collect() };
        match self {
            Scenario::After(nodes) => Scenario::After(all(nodes)),
            Scenario::Gradients { of, order } => Scenario::Gradients { of: all(of), order: *order },
            Scenario::Later { first, of } => Scenario::Later { first: all(first), of: all(of) },
            Scenario::Forward { along } => Scenario::Forward { along: all(along) },
            Scenario::Train { weights, steps } => {
                Scenario::Train { weights: all(weights), steps: *steps }
            }
            Scenario::Carry { updates, steps } => {
                let pair = |&(leaf, node): &(usize, usize)| (map(leaf), map(node));
                Scenario::Carry { updates: updates.iter().map(pair).collect(), steps: *steps }
            }
            Scenario::Vmap { leaves, size, of } => {
                let leaves = leaves.iter().map(|&(leaf, axis)| (map(leaf), axis)).collect();
                Scenario::Vmap { leaves, size: *size, of: all(of) }
            }
            Scenario::Together
            | Scenario::Alone
            | Scenario::Replay { .. }
            | Scenario::Threads { .. } => self.clone(),
        }
    }
}

impl Step {
    fn sizes(&self) -> Vec<usize> {
        match self {
            Step::Leaf { shape, .. } => shape.clone(),
            Step::Call { numbers, .. } => numbers.s.clone(),
        }
    }
}

impl Recipe {
    /// Without nodes that nobody asks for.
    fn without_unused(&self) -> Recipe {
        let mut used = vec![false; self.steps.len()];
        let asked = self.roots.iter().copied().chain(self.scenario.named());
        asked.for_each(|node| used[node] = true);
        for number in (0..self.steps.len()).rev() {
            if used[number] {
                self.steps[number].operands().iter().for_each(|&operand| used[operand] = true);
            }
        }
        let numbers: Vec<usize> = used
            .iter()
            .scan(0, |next, &used| {
                let number = *next;
                *next += usize::from(used);
                Some(number)
            })
            .collect();
        let kept = self.steps.iter().zip(&used).filter(|(_, used)| **used);
        let steps = kept.map(|(step, _)| step.renumbered(&|node| numbers[node])).collect();
        Recipe {
            steps,
            roots: self.roots.iter().map(|&root| numbers[root]).collect(),
            scenario: self.scenario.renumbered(&|node| numbers[node]),
        }
    }

    /// With `other` in place of a node wherever it is read or asked for.
    fn redirected(&self, number: usize, other: usize) -> Recipe {
        let map = |node: usize| if node == number { other } else { node };
        Recipe {
            steps: self.steps.iter().map(|step| step.renumbered(&map)).collect(),
            roots: self.roots.iter().map(|&root| map(root)).collect(),
            scenario: self.scenario.renumbered(&map),
        }
    }

    /// With a leaf of the same shape and dtype in place of a node.
    fn with_leaf(&self, number: usize) -> Option<Recipe> {
        let (shape, dtype) = quietly(|| {
            let mut graph = Graph::new(&reference::device(), 0.0, Vec::new());
            self.build(&mut graph);
            (graph[number].shape().to_vec(), graph[number].dtype())
        })
        .ok()?;
        let mut recipe = self.clone();
        recipe.steps[number] =
            Step::Leaf { shape, dtype, pattern: Pattern::Small, seed: number as u64 };
        Some(recipe)
    }

    /// With one size in place of another.
    fn resized(&self, size: usize, smaller: usize) -> Recipe {
        let mut recipe = self.clone();
        let change = |own: &mut usize| {
            if *own == size {
                *own = smaller;
            }
        };
        for step in &mut recipe.steps {
            match step {
                Step::Leaf { shape, .. } => shape.iter_mut().for_each(change),
                Step::Call { numbers, .. } => numbers.s.iter_mut().for_each(change),
            }
        }
        recipe
    }
}

impl Step {
    fn renumbered(&self, map: &dyn Fn(usize) -> usize) -> Step {
        match self {
            Step::Leaf { .. } => self.clone(),
            Step::Call { action, operands, numbers } => Step::Call {
                action: *action,
                operands: operands.iter().map(|&operand| map(operand)).collect(),
                numbers: numbers.clone(),
            },
        }
    }
}
