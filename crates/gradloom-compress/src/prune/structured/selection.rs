//! [`Selection`]: which channels go.

use super::structure::{Removal, Structure};
use crate::prune::errors::invalid;
use gradloom_tensor::Result;

/// How small the model is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// At most this part of the multiplications and additions of products, convolutions and attention.
    Flops(f64),
    /// At most this part of the weights.
    Parameters(f64),
}

/// Among which channels the least needed are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scope {
    /// Among all of the model, by their scores over their group's mean.
    #[default]
    Global,
    /// The same part of each group.
    Uniform,
}

/// Which channels go, by their scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    target: Target,
    scope: Scope,
    multiple: usize,
    least: f64,
}

impl Selection {
    /// The least needed of all, of each group at most nine tenths.
    ///
    /// # Errors
    /// If the part that is to be left is not between 0 and 1.
    pub fn to(target: Target) -> Result<Self> {
        let (Target::Flops(part) | Target::Parameters(part)) = target;
        if !(part > 0.0 && part < 1.0) {
            return Err(invalid(format!(
                "prune: {part} of the model are to be left; give a part between 0 and 1"
            )));
        }
        Ok(Selection { target, scope: Scope::Global, multiple: 1, least: 0.1 })
    }

    /// Sets among which channels the least needed are looked for.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Of each group a multiple of this is left, as kernels are fast with: 8 or 16.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn multiple_of(mut self, multiple: usize) -> Self {
        assert!(multiple > 0, "prune: multiples of 0 channels");
        self.multiple = multiple;
        self
    }

    /// Of each group at least this part is left, and one channel in any case.
    ///
    /// # Panics
    /// If it is not within `0..=1`.
    #[must_use]
    #[track_caller]
    pub fn at_least(mut self, part: f64) -> Self {
        assert!((0.0..=1.0).contains(&part), "prune: at least {part} of each group");
        self.least = part;
        self
    }

    /// The channels that go so that the target is met, and as few as that takes. Groups for whose weights `keeps`
    /// is true are left as they are.
    ///
    /// # Errors
    /// If the scores are of another model, are not numbers, or the target is out of reach; the message says what
    /// can be reached.
    pub fn choose(
        &self,
        structure: &Structure,
        scores: &[Vec<f64>],
        keeps: &dyn Fn(&str) -> bool,
    ) -> Result<Removal> {
        let groups = structure.groups();
        let fits = scores.len() == groups.len()
            && scores.iter().zip(groups).all(|(own, group)| own.len() == group.channels());
        if !fits {
            return Err(invalid("prune: the scores are of another structure"));
        }
        if scores.iter().flatten().any(|score| !score.is_finite()) {
            return Err(invalid("prune: a score is not finite; look at the weights and gradients"));
        }
        let mut order: Vec<[usize; 2]> = Vec::new();
        for (number, group) in groups.iter().enumerate() {
            if !group.weights().any(|(weight, _)| keeps(weight)) {
                order.extend((0..group.channels()).map(|channel| [number, channel]));
            }
        }
        let key = |&[group, channel]: &[usize; 2]| match self.scope {
            Scope::Global => scores[group][channel],
            Scope::Uniform => rank(&scores[group], channel),
        };
        // Stable, so that equal channels go in the order of the model.
        order.sort_by(|left, right| key(left).total_cmp(&key(right)));
        let part = |removal: &Removal| match self.target {
            Target::Flops(_) => structure.flops(removal) / structure.flops(&structure.none()),
            Target::Parameters(_) => {
                structure.parameters(removal) as f64
                    / structure.parameters(&structure.none()) as f64
            }
        };
        let (Target::Flops(wanted) | Target::Parameters(wanted)) = self.target;
        if part(&structure.none()).is_nan() {
            return Err(invalid("prune: the run has no products or weights that could be fewer"));
        }
        let most = self.removal(structure, &order);
        let least_part = part(&most);
        if least_part > wanted {
            let what =
                if matches!(self.target, Target::Flops(_)) { "operations" } else { "weights" };
            return Err(invalid(format!(
                "prune: {wanted} of the {what} are to be left, but no less than {least_part:.3} can be, as other \
                 channels are kept: Structure::kept says why, Selection::at_least lets more of a group go"
            )));
        }
        let (mut few, mut many) = (0, order.len());
        while few < many {
            let middle = usize::midpoint(few, many);
            if part(&self.removal(structure, &order[..middle])) <= wanted {
                many = middle;
            } else {
                few = middle + 1;
            }
        }
        Ok(self.removal(structure, &order[..many]))
    }

    /// These channels, but for the most needed of a group that must stay.
    fn removal(&self, structure: &Structure, order: &[[usize; 2]]) -> Removal {
        let mut of_groups: Vec<Vec<usize>> = vec![Vec::new(); structure.groups().len()];
        order.iter().for_each(|&[group, channel]| of_groups[group].push(channel));
        let mut removal = structure.none();
        for (group, removed) in structure.groups().iter().zip(&of_groups) {
            let count = group.channels();
            let least = ((count as f64 * self.least).ceil() as usize).max(1);
            let left =
                (count - removed.len()).max(least).next_multiple_of(self.multiple).min(count);
            for &channel in &removed[..(count - left).min(removed.len())] {
                removal.removed[group.channels[channel].0 as usize] = true;
            }
        }
        removal
    }
}

/// The part of a group that is needed less than a channel.
fn rank(scores: &[f64], channel: usize) -> f64 {
    let own = scores[channel];
    let before = scores
        .iter()
        .enumerate()
        .filter(|&(other, &score)| score < own || (score == own && other < channel));
    before.count() as f64 / scores.len() as f64
}
