//! [`MultilabelF1`]: how well several labels of a sample are found.
//!
//! Letters: N samples, L labels.

use gradloom_metrics::{Accumulator as _, Average, LabelCounts, ZeroDivision};
use gradloom_tensor::Tensor;
use serde_json::{Value, json};

use crate::exact::Entries;
use crate::{Metric, Result, error};

/// F1, `2 tp / (2 tp + fp + fn)`, of labels whose logit is above zero: outputs `[N, L]`, targets `[N, L]` of 0 and
/// 1 in any dtype. A label without any positives counts as 0. Panics if the shapes differ.
///
/// Counts are summed on the device, with the step; `gradloom_metrics::MultiLabel` has more figures, of samples.
///
/// scikit-learn: `f1_score` of a matrix of labels.
#[derive(Clone, Debug)]
pub struct MultilabelF1 {
    average: Average,
    counts: LabelCounts,
}

impl MultilabelF1 {
    fn new(average: Average) -> Self {
        MultilabelF1 { average, counts: LabelCounts::default() }
    }

    /// From the counts of all labels together.
    pub fn micro() -> Self {
        MultilabelF1::new(Average::Micro)
    }

    /// The mean of the labels' own.
    pub fn macro_average() -> Self {
        MultilabelF1::new(Average::Macro)
    }

    /// The mean of the labels' own, by how many samples have them.
    pub fn weighted() -> Self {
        MultilabelF1::new(Average::Weighted)
    }
}

impl Metric for MultilabelF1 {
    fn name(&self) -> String {
        match self.average {
            Average::Micro => "f1".into(),
            Average::Macro => "macro_f1".into(),
            Average::Weighted => "weighted_f1".into(),
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
        let column = |tensor: &Tensor| -> Result<Vec<u64>> {
            Ok(tensor.to_vec::<i32>()?.into_iter().map(|count| count as u64).collect())
        };
        let columns = observed.iter().map(column).collect::<Result<Vec<_>>>()?;
        let [right, called, support] = &columns[..] else {
            return Err(error::invalid(format!(
                "f1: {} counts were observed, not 3",
                columns.len()
            )));
        };
        self.counts.update(right, called, support)
    }

    fn value(&self) -> f64 {
        if self.counts.is_empty() {
            return f64::NAN;
        }
        self.counts.average(self.average, 1.0, ZeroDivision::Zero).f
    }

    fn reset(&mut self) {
        self.counts.reset();
    }

    fn state(&self) -> Value {
        json!({"counts": self.counts})
    }

    fn load_state(&mut self, state: &Value) -> Result<()> {
        let counts = Value::Array(Entries::new("f1", state)?.array("counts")?.to_vec());
        self.counts = serde_json::from_value(counts)
            .map_err(|cause| error::malformed(format!("checkpoint: counts of f1: {cause}")))?;
        Ok(())
    }
}
