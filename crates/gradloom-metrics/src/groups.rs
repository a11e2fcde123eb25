//! [`GroupRates`]: whether a classifier treats groups of people alike.

use std::collections::BTreeMap;

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Accumulator;
use crate::inputs::{Label, class, same_length};

/// Counts of yes-or-no decisions for each group.
///
/// ```
/// use gradloom_metrics::GroupRates;
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut rates = GroupRates::default();
/// rates.update(&[1, 0, 1, 0], &[1, 1, 0, 0], &["a", "a", "b", "b"])?;
/// assert_eq!(rates.demographic_parity_difference()?, 1.0);
/// assert_eq!(rates.equal_opportunity_difference()?, 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupRates {
    groups: BTreeMap<String, Counts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    /// By true label, then by decision.
    by: [[u64; 2]; 2],
}

/// Rates of one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Samples of the group.
    pub samples: u64,
    /// Share of all that is decided yes.
    pub selection: f64,
    /// Share of the true yes that is decided yes; `None` if there is no true yes.
    pub true_positive: Option<f64>,
    /// Share of the true no that is decided yes; `None` if there is no true no.
    pub false_positive: Option<f64>,
}

impl GroupRates {
    /// Adds samples by their true labels (0 or 1), decisions (0 or 1) and groups.
    ///
    /// # Errors
    /// If the lengths differ or a label is neither 0 nor 1.
    pub fn update<L: Label>(
        &mut self,
        actual: &[L],
        predicted: &[L],
        groups: &[impl AsRef<str>],
    ) -> Result<()> {
        same_length("group rates", ("labels", actual.len()), ("decisions", predicted.len()))?;
        same_length("group rates", ("labels", actual.len()), ("groups", groups.len()))?;
        let mut added = GroupRates::default();
        for (index, group) in groups.iter().enumerate() {
            let actual = class("group rates", index, actual[index], 2)?;
            let predicted = class("group rates", index, predicted[index], 2)?;
            let counts = added.groups.entry(group.as_ref().to_owned()).or_default();
            counts.by[actual][predicted] += 1;
        }
        self.merge(&added)
    }

    /// Largest less smallest selection rate of the groups. As
    /// `fairlearn.metrics.demographic_parity_difference`.
    ///
    /// # Errors
    /// Without samples.
    pub fn demographic_parity_difference(&self) -> Result<f64> {
        Ok(difference(&self.each(|rates| Some(rates.selection), "selection")?))
    }

    /// Smallest by largest selection rate.
    ///
    /// # Errors
    /// Without samples, or if nobody is selected.
    pub fn demographic_parity_ratio(&self) -> Result<f64> {
        ratio(&self.each(|rates| Some(rates.selection), "selection")?)
    }

    /// Largest less smallest rate of true positives.
    ///
    /// # Errors
    /// Without samples, or if a group has no true yes.
    pub fn equal_opportunity_difference(&self) -> Result<f64> {
        Ok(difference(&self.each(|rates| rates.true_positive, "yes")?))
    }

    /// Smallest by largest rate of true positives.
    ///
    /// # Errors
    /// Without samples, if a group has no true yes, or if all rates are 0.
    pub fn equal_opportunity_ratio(&self) -> Result<f64> {
        ratio(&self.each(|rates| rates.true_positive, "yes")?)
    }

    /// The larger of the differences of the rates of true and of false positives. As
    /// `fairlearn.metrics.equalized_odds_difference`.
    ///
    /// # Errors
    /// Without samples, or if a group lacks a true yes or a true no.
    pub fn equalised_odds_difference(&self) -> Result<f64> {
        let right = difference(&self.each(|rates| rates.true_positive, "yes")?);
        let wrong = difference(&self.each(|rates| rates.false_positive, "no")?);
        Ok(right.max(wrong))
    }

    /// The smaller of the ratios of the rates of true and of false positives.
    ///
    /// # Errors
    /// Without samples, if a group lacks a true yes or a true no, or if all rates of a kind are 0.
    pub fn equalised_odds_ratio(&self) -> Result<f64> {
        let right = ratio(&self.each(|rates| rates.true_positive, "yes")?)?;
        let wrong = ratio(&self.each(|rates| rates.false_positive, "no")?)?;
        Ok(right.min(wrong))
    }

    fn each(&self, of: fn(&Rates) -> Option<f64>, lacking: &str) -> Result<Vec<f64>> {
        let rates = self.value()?;
        let each = rates.iter().map(|(group, rates)| {
            of(rates).ok_or_else(|| {
                Error::invalid(format!(
                    "group rates: group {group:?} has no sample whose true label is {lacking}, so its rate \
                     is undefined; leave the group out or add samples"
                ))
            })
        });
        each.collect()
    }
}

fn extremes(rates: &[f64]) -> (f64, f64) {
    let low = rates.iter().copied().fold(f64::INFINITY, f64::min);
    (low, rates.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

fn difference(rates: &[f64]) -> f64 {
    let (low, high) = extremes(rates);
    high - low
}

fn ratio(rates: &[f64]) -> Result<f64> {
    let (low, high) = extremes(rates);
    if high == 0.0 {
        return Err(Error::invalid("group rates: all rates are 0, so their ratio is undefined"));
    }
    Ok(low / high)
}

impl Accumulator for GroupRates {
    type Value = BTreeMap<String, Rates>;

    fn value(&self) -> Result<BTreeMap<String, Rates>> {
        if self.groups.is_empty() {
            return Err(Error::invalid("group rates: no samples"));
        }
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let rates = |counts: &Counts| {
            let [[no_no, no_yes], [yes_no, yes_yes]] = counts.by;
            let samples = no_no + no_yes + yes_no + yes_yes;
            Rates {
                samples,
                selection: share(no_yes + yes_yes, samples).unwrap_or(0.0),
                true_positive: share(yes_yes, yes_no + yes_yes),
                false_positive: share(no_yes, no_no + no_yes),
            }
        };
        Ok(self.groups.iter().map(|(group, counts)| (group.clone(), rates(counts))).collect())
    }

    fn reset(&mut self) {
        self.groups.clear();
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        for (group, counts) in &other.groups {
            let own = self.groups.entry(group.clone()).or_default();
            for actual in 0..2 {
                for predicted in 0..2 {
                    own.by[actual][predicted] += counts.by[actual][predicted];
                }
            }
        }
        Ok(())
    }
}
