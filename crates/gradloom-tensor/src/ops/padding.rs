//! Padding with elements of the tensor itself.

use crate::Tensor;
use crate::called::demand;

/// What stands around a padded tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadMode {
    /// The elements next to the edge in reverse, without the edge: `c b | a b c | b a`.
    Reflect,
    /// The edge again and again: `a a | a b c | c c`.
    Replicate,
    /// The elements from the other end: `b c | a b c | a b`.
    Circular,
}

impl Tensor {
    /// With its own elements around: `padding[i]` is how many come before and after along axis `i`; below zero,
    /// how many are cut off. What is cut off is still there to pad the other end with, but for circular
    /// padding.
    ///
    /// Panics if there is not one pair per axis, more is cut off than there is, or an axis has too few elements
    /// for what comes around them. PyTorch: `F.pad(mode=...)`, which lists axes from the last.
    #[track_caller]
    #[must_use]
    pub fn pad_mode(&self, padding: &[[isize; 2]], mode: PadMode) -> Tensor {
        demand!(
            padding.len() == self.rank(),
            "pad_mode: {} pairs for shape {}",
            padding.len(),
            self.shape()
        );
        let mut x = self.clone();
        for (axis, &sides) in padding.iter().enumerate() {
            if sides != [0, 0] {
                x = x.padded_along(axis as isize, sides, mode);
            }
        }
        x
    }

    #[track_caller]
    fn padded_along(&self, axis: isize, sides: [isize; 2], mode: PadMode) -> Tensor {
        let [cut_before, cut_after] = sides.map(|side| side.min(0).unsigned_abs());
        let [before, after] = sides.map(|side| side.max(0).unsigned_abs());
        let size = self.size(axis);
        let cut = cut_before.saturating_add(cut_after);
        demand!(
            cut <= size.saturating_add(before).saturating_add(after),
            "pad_mode: cuts {cut} elements off axis {axis} of shape {}",
            self.shape()
        );
        let (most, what) = match mode {
            PadMode::Reflect => (size.saturating_sub(1), "fewer than it has"),
            PadMode::Replicate => (if size == 0 { 0 } else { usize::MAX }, "at least one"),
            PadMode::Circular => (size.saturating_sub(cut), "no more than it has"),
        };
        demand!(
            before.max(after) <= most,
            "pad_mode: {sides:?} around axis {axis} of shape {} in mode {mode:?}, which takes {what}",
            self.shape()
        );
        let (x, [cut_before, cut_after]) = match mode {
            PadMode::Circular => (self.narrow(axis, cut_before, size - cut), [0, 0]),
            _ => (self.clone(), [cut_before, cut_after]),
        };
        let size = x.size(axis);
        let [first, last] = match mode {
            PadMode::Reflect => [
                x.narrow(axis, size.min(1), before).flip(axis),
                x.narrow(axis, size.saturating_sub(after + 1), after).flip(axis),
            ],
            PadMode::Replicate => {
                let edge = |start: usize, count: usize| {
                    let one = x.narrow(axis, start, size.min(1));
                    one.broadcast_to(one.shape().with(axis as usize, count))
                };
                [edge(0, before), edge(size.saturating_sub(1), after)]
            }
            PadMode::Circular => [x.narrow(axis, size - before, before), x.narrow(axis, 0, after)],
        };
        let padded = Tensor::concat(&[first, x, last], axis);
        padded.narrow(axis, cut_before, padded.size(axis) - cut_before - cut_after)
    }
}
