//! [`Cascade`]: parts of a sum that come one after another and are combined pairwise, so that each goes
//! through few additions; see `gradloom_tensor::summation`.

use bytemuck::Pod;

use crate::scratch::Scratch;

/// Parts of a sum, as the digits of a binary counter: at most one of each level, the largest first. A part
/// of level `n` is made of `2^n` parts that were pushed.
pub(super) struct Cascade<P> {
    parts: Vec<(u32, P)>,
}

impl<P> Default for Cascade<P> {
    fn default() -> Self {
        Cascade { parts: Vec::new() }
    }
}

impl<P> Cascade<P> {
    /// Takes the next part; `combine` has the earlier one first.
    pub(super) fn push(&mut self, part: P, mut combine: impl FnMut(P, P) -> P) {
        let (mut level, mut part) = (0, part);
        while let Some((_, earlier)) = self.parts.pop_if(|(other, _)| *other == level) {
            part = combine(earlier, part);
            level += 1;
        }
        self.parts.push((level, part));
    }

    /// True before the first part.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// All parts in one, `None` without any.
    pub(super) fn total(mut self, mut combine: impl FnMut(P, P) -> P) -> Option<P> {
        let (_, mut total) = self.parts.pop()?;
        while let Some((_, earlier)) = self.parts.pop() {
            total = combine(earlier, total);
        }
        Some(total)
    }
}

/// Rows of lanes that are combined pairwise; `combine` changes its second row.
impl Cascade<Scratch> {
    /// Takes a copy of the next row.
    pub(super) fn push_row<T: Pod>(&mut self, row: &[T], combine: impl Fn(&[T], &mut [T])) {
        let mut part = Scratch::take::<T>(row.len());
        part.get_mut().copy_from_slice(row);
        self.push(part, |earlier, part| joined(&earlier, part, &combine));
    }

    /// Copies the combination of all rows to `out`, which is left alone if there are none.
    pub(super) fn write_total<T: Pod>(self, out: &mut [T], combine: impl Fn(&[T], &mut [T])) {
        if let Some(total) = self.total(|earlier, part| joined(&earlier, part, &combine)) {
            out.copy_from_slice(total.get());
        }
    }
}

fn joined<T: Pod>(
    earlier: &Scratch,
    mut part: Scratch,
    combine: &impl Fn(&[T], &mut [T]),
) -> Scratch {
    combine(earlier.get(), part.get_mut());
    part
}

#[cfg(test)]
mod tests {
    use super::Cascade;

    #[test]
    fn parts_stay_in_order_and_go_through_few_combinations() {
        for count in [0usize, 1, 2, 3, 7, 8, 1000] {
            let join = |(a, depth): (Vec<usize>, u32), (b, other): (Vec<usize>, u32)| {
                ([a, b].concat(), depth.max(other) + 1)
            };
            let mut cascade = Cascade::default();
            for part in 0..count {
                cascade.push((vec![part], 0), join);
            }
            let total = cascade.total(join);
            let (parts, depth) = total.unwrap_or_default();
            assert_eq!(parts, (0..count).collect::<Vec<_>>());
            assert!(depth <= count.max(1).next_power_of_two().ilog2() + 1, "{count}: {depth}");
        }
    }
}
