//! [`MultilabelF1`]: how well several labels of a sample are found.
//!
//! Letters: N samples, L labels.

use gradloom_tensor::Tensor;
use serde_json::{Value, json};

use crate::exact::Entries;
use crate::{Metric, Result, error};

/// How the figures of labels become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum F1Average {
    /// From the counts of all labels together.
    #[default]
    Micro,
    /// The mean of the labels' own.
    Macro,
}

/// F1, `2 tp / (2 tp + fp + fn)`, of labels whose logit is above zero: outputs `[N, L]`, targets `[N, L]` of 0 and
/// 1 in any dtype. A label without any positives counts as 0. Panics if the shapes differ.
///
/// scikit-learn: `f1_score` of a matrix of labels.
#[derive(Clone, Debug, Default)]
pub struct MultilabelF1 {
    average: F1Average,
    /// True positives, what was said, and what is, of each label.
    counts: Vec<[u64; 3]>,
}

impl MultilabelF1 {
    /// From the counts of all labels together.
    pub fn micro() -> Self {
        MultilabelF1::default()
    }

    /// The mean of the labels' own.
    pub fn macro_average() -> Self {
        MultilabelF1 { average: F1Average::Macro, counts: Vec::new() }
    }
}

impl Metric for MultilabelF1 {
    fn name(&self) -> String {
        match self.average {
            F1Average::Micro => "f1".into(),
            F1Average::Macro => "macro_f1".into(),
        }
    }

    #[track_caller]
    fn observe(&self, outputs: &Tensor, targets: &Tensor) -> Vec<Tensor> {
        assert!(
            outputs.rank() == 2 && outputs.shape() == targets.shape(),
            "f1: outputs {} with targets {}; needs [N, L] of both",
            outputs.shape(),
            targets.shape()
        );
        let (said, is) = (outputs.gt(0.0), targets.gt(0.5));
        let each = [said.logical_and(&is), said, is];
        each.map(|flags| flags.sum(0)).to_vec()
    }

    fn update(&mut self, observed: &[Tensor], _samples: usize) -> Result<()> {
        for (place, counts) in observed.iter().enumerate() {
            let counts = counts.to_vec::<i32>()?;
            self.counts.resize(counts.len(), [0; 3]);
            for (own, count) in self.counts.iter_mut().zip(counts) {
                own[place] += count as u64;
            }
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        let f1 = |[right, said, is]: [u64; 3]| {
            let all = said + is;
            if all == 0 { 0.0 } else { 2.0 * right as f64 / all as f64 }
        };
        match self.average {
            F1Average::Micro => f1(self.counts.iter().fold([0; 3], |sum, counts| {
                [sum[0] + counts[0], sum[1] + counts[1], sum[2] + counts[2]]
            })),
            F1Average::Macro => {
                let each = self.counts.iter().map(|&counts| f1(counts));
                each.sum::<f64>() / self.counts.len() as f64
            }
        }
    }

    fn reset(&mut self) {
        self.counts.clear();
    }

    fn state(&self) -> Value {
        json!({"counts": self.counts})
    }

    fn load_state(&mut self, state: &Value) -> Result<()> {
        let triple = |triple: &Value| {
            let count = |place: usize| triple.get(place)?.as_u64();
            Some([count(0)?, count(1)?, count(2)?])
        };
        let counts = Entries::new("f1", state)?.array("counts")?.iter().map(triple).collect();
        let counts: Option<Vec<[u64; 3]>> = counts;
        self.counts = counts.ok_or_else(|| error::malformed("checkpoint: counts of f1"))?;
        Ok(())
    }
}
