//! [`Axes`], a set of axes, and [`Permutation`], an order of them, both by value.

use crate::called::demand;
use crate::shape::RANK_MAX;

/// A set of axes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Axes(u8);

impl Axes {
    /// No axis.
    pub const NONE: Axes = Axes(0);

    /// The axes below `rank`.
    pub fn all(rank: usize) -> Axes {
        (0..rank).collect()
    }

    /// True if `axis` is in the set.
    pub fn contains(self, axis: usize) -> bool {
        axis < RANK_MAX && self.0 >> axis & 1 == 1
    }

    /// The axes in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = usize> + Clone {
        (0..RANK_MAX).filter(move |&axis| self.contains(axis))
    }

    /// Number of axes.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// True without axes.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as bits, axis 0 lowest.
    pub fn bits(self) -> u8 {
        self.0
    }
}

impl FromIterator<usize> for Axes {
    fn from_iter<I: IntoIterator<Item = usize>>(axes: I) -> Self {
        Axes(axes.into_iter().fold(0, |bits, axis| {
            demand!(axis < RANK_MAX, "axes: {axis} is not below {RANK_MAX}");
            bits | 1 << axis
        }))
    }
}

impl std::fmt::Debug for Axes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// An order of axes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permutation {
    rank: u8,
    axes: [u8; RANK_MAX],
}

impl Permutation {
    /// From distinct axes `0..n` in their new order.
    ///
    /// # Panics
    /// If they are not a permutation.
    #[track_caller]
    pub fn new(order: &[usize]) -> Self {
        let mut axes = [0; RANK_MAX];
        let mut seen = Axes::NONE.bits();
        demand!(order.len() <= RANK_MAX, "permute: more than {RANK_MAX} axes: {order:?}");
        for (slot, &axis) in axes.iter_mut().zip(order) {
            let fresh = axis < order.len() && seen >> axis & 1 == 0;
            demand!(fresh, "permute: not a permutation of 0..{}: {order:?}", order.len());
            seen |= 1 << axis;
            *slot = axis as u8;
        }
        Permutation { rank: order.len() as u8, axes }
    }

    /// The order that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let mut axes = [0; RANK_MAX];
        for (position, axis) in self.iter().enumerate() {
            axes[axis] = position as u8;
        }
        Permutation { rank: self.rank, axes }
    }

    /// Input axes in output order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.axes[..usize::from(self.rank)].iter().map(|&axis| usize::from(axis))
    }
}

impl std::fmt::Debug for Permutation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}
