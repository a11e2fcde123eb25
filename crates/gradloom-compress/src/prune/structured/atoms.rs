//! [`Atoms`]: the indices of weights' axes, joined where they must go together.

use std::rc::Rc;

/// Sets of indices that are removed together or not at all, and why some cannot be.
#[derive(Default)]
pub(super) struct Atoms {
    parent: Vec<u32>,
    /// Of the root of a set: what keeps it.
    kept: Vec<Option<Rc<str>>>,
}

/// What the indices of a node's axis are.
#[derive(Clone, Debug)]
pub(super) enum Axis {
    /// The same for any size, as of what is broadcast.
    Free,
    /// Of a size that no weight decides: samples, positions, rows and columns.
    Fixed,
    /// One atom for each index.
    Channels(Rc<[u32]>),
}

impl Atoms {
    /// As many new sets of one.
    pub(super) fn fresh(&mut self, count: usize) -> Rc<[u32]> {
        let first = self.parent.len() as u32;
        let atoms: Rc<[u32]> = (first..first + count as u32).collect();
        self.parent.extend(atoms.iter());
        self.kept.resize(self.parent.len(), None);
        atoms
    }

    /// Number of atoms.
    pub(super) fn len(&self) -> usize {
        self.parent.len()
    }

    pub(super) fn find(&self, mut atom: u32) -> u32 {
        while self.parent[atom as usize] != atom {
            atom = self.parent[atom as usize];
        }
        atom
    }

    fn root(&mut self, atom: u32) -> u32 {
        let root = self.find(atom);
        let mut next = atom;
        while next != root {
            next = std::mem::replace(&mut self.parent[next as usize], root);
        }
        root
    }

    pub(super) fn join(&mut self, left: u32, right: u32) {
        let (left, right) = (self.root(left), self.root(right));
        if left == right {
            return;
        }
        let (root, other) = (left.min(right), left.max(right));
        self.parent[other as usize] = root;
        if let Some(reason) = self.kept[other as usize].take() {
            self.kept[root as usize].get_or_insert(reason);
        }
    }

    /// Why the set of an atom cannot be removed, if it cannot.
    pub(super) fn reason(&self, atom: u32) -> Option<&Rc<str>> {
        self.kept[self.find(atom) as usize].as_ref()
    }

    /// Keeps every set that an axis has indices of. The first reason counts.
    pub(super) fn keep(&mut self, axis: &Axis, reason: &str) {
        let Axis::Channels(atoms) = axis else { return };
        let reason: Rc<str> = reason.into();
        for &atom in atoms.iter() {
            let root = self.root(atom);
            self.kept[root as usize].get_or_insert_with(|| reason.clone());
        }
    }

    /// The axis of what is made of two elements at a time.
    pub(super) fn meet(&mut self, left: &Axis, right: &Axis) -> Axis {
        match (left, right) {
            (Axis::Free, other) | (other, Axis::Free) => other.clone(),
            (Axis::Fixed, Axis::Fixed) => Axis::Fixed,
            (Axis::Fixed, channels) | (channels, Axis::Fixed) => {
                self.keep(channels, "meets an axis whose size the input decides");
                Axis::Fixed
            }
            (Axis::Channels(left), Axis::Channels(right)) => {
                if !Rc::ptr_eq(left, right) {
                    left.iter()
                        .zip(right.iter())
                        .for_each(|(&left, &right)| self.join(left, right));
                }
                Axis::Channels(left.clone())
            }
        }
    }

    /// The axis over which a weight and an activation are multiplied and summed.
    pub(super) fn contract(&mut self, activation: &Axis, weight: &Axis) {
        match activation {
            Axis::Channels(_) => drop(self.meet(activation, weight)),
            Axis::Free | Axis::Fixed => self.keep(weight, "reads the input"),
        }
    }

    /// Axes of these sizes in place of others, in row-major order.
    pub(super) fn reshape(&mut self, from: (&[usize], &[Axis]), to: &[usize]) -> Vec<Axis> {
        let (sizes, axes) = from;
        let mut result = vec![Axis::Free; to.len()];
        if sizes.contains(&0) {
            axes.iter().for_each(|axis| self.keep(axis, "has no elements in this run"));
            return vec![Axis::Fixed; to.len()];
        }
        for (axis, _) in axes.iter().zip(sizes).filter(|(_, size)| **size == 1) {
            self.keep(axis, "is a single channel");
        }
        let longer = |sizes: &[usize]| -> Vec<usize> {
            (0..sizes.len()).filter(|&axis| sizes[axis] != 1).collect()
        };
        let (sources, targets) = (longer(sizes), longer(to));
        let (mut source, mut target) = (0, 0);
        while source < sources.len() && target < targets.len() {
            let first = (source, target);
            let (mut before, mut after) = (sizes[sources[source]], to[targets[target]]);
            (source, target) = (source + 1, target + 1);
            while before != after {
                if before < after {
                    before *= sizes[sources[source]];
                    source += 1;
                } else {
                    after *= to[targets[target]];
                    target += 1;
                }
            }
            let block = &targets[first.1..target];
            self.block(from, &sources[first.0..source], to, block, &mut result);
        }
        result
    }

    /// One block of axes, of as many elements before as after.
    fn block(
        &mut self,
        (sizes, axes): (&[usize], &[Axis]),
        from: &[usize],
        to: &[usize],
        block: &[usize],
        result: &mut [Axis],
    ) {
        if let ([source], [target]) = (from, block) {
            result[*target] = axes[*source].clone();
            return;
        }
        let mut of_channels = from.iter().filter(|&&axis| matches!(axes[axis], Axis::Channels(_)));
        let Some(&main) = of_channels.next() else {
            let fixed = from.iter().any(|&axis| matches!(axes[axis], Axis::Fixed));
            let axis = if fixed { Axis::Fixed } else { Axis::Free };
            block.iter().for_each(|&target| result[target] = axis.clone());
            return;
        };
        of_channels.for_each(|&other| self.keep(&axes[other], "is merged with other channels"));
        let Axis::Channels(atoms) = &axes[main] else { return };
        let inner: usize =
            from.iter().filter(|&&axis| axis > main).map(|&axis| sizes[axis]).product();
        let count: usize = from.iter().map(|&axis| sizes[axis]).product();
        let flat: Vec<u32> =
            (0..count).map(|element| self.find(atoms[element / inner % atoms.len()])).collect();
        let [outermost, ..] = block else { return };
        let places = |axis: usize| {
            let inner: usize =
                block.iter().filter(|&&other| other > axis).map(|&other| to[other]).product();
            move |element: usize| element / inner % to[axis]
        };
        block.iter().for_each(|&target| result[target] = Axis::Fixed);
        for &target in block {
            let place = places(target);
            let mut own = vec![None; to[target]];
            let alone = flat
                .iter()
                .enumerate()
                .all(|(element, &atom)| *own[place(element)].get_or_insert(atom) == atom);
            if alone {
                result[target] = Axis::Channels(own.into_iter().flatten().collect());
                return;
            }
        }
        // The axis is split, as features into heads: what is inside of a part goes with it.
        let place = places(*outermost);
        let mut own: Vec<Option<u32>> = vec![None; to[*outermost]];
        for (element, &atom) in flat.iter().enumerate() {
            let first = *own[place(element)].get_or_insert(atom);
            self.join(first, atom);
        }
        result[*outermost] = Axis::Channels(own.into_iter().flatten().collect());
    }
}
