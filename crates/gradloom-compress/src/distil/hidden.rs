//! [`HiddenStates`]: a student's activations are brought to those of its teacher.

use super::losses::hidden_loss;
use super::teacher::Lesson;
use gradloom_nn::layers::Linear;
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::{Error, ErrorKind, Result, Tensor};

/// Pairs of activations by the names of their taps, each with a learnt projection `[.., S] -> [.., T]` from the
/// student's features to the teacher's. It is a module: its projections learn with the student and are dropped
/// afterwards.
///
/// ```
/// use gradloom_compress::distil::HiddenStates;
/// use gradloom_nn::{Init, ModuleExt};
/// use gradloom_tensor::Key;
///
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// // Each layer of a student of three learns from every second of its teacher.
/// let pairs = (0..3).map(|layer| (format!("layer.{layer}.output"), format!("layer.{}.output", 2 * layer + 1)));
/// let hidden = HiddenStates::new(pairs, [16, 64], init);
/// assert_eq!(hidden.parameter_count(), 3 * (16 * 64 + 64));
/// ```
#[derive(Module, Clone, Debug)]
pub struct HiddenStates {
    /// One for each pair; none where both have the same features.
    pub projections: Vec<Linear>,
    #[module(skip)]
    pairs: Vec<(String, String)>,
}

impl HiddenStates {
    /// Of names of the student's and the teacher's taps, and the features of each. Equal features are not projected.
    pub fn new(
        pairs: impl IntoIterator<Item = (String, String)>,
        [student, teacher]: [usize; 2],
        init: &mut Init,
    ) -> Self {
        let pairs: Vec<(String, String)> = pairs.into_iter().collect();
        let projected = if student == teacher { 0 } else { pairs.len() };
        let projections = (0..projected).map(|_| Linear::new(student, teacher, init)).collect();
        HiddenStates { projections, pairs }
    }

    /// The mean over all pairs of the mean squared difference: of a student's run with
    /// [taps](Context::with_taps) and a teacher's lesson about the same batch.
    ///
    /// # Errors
    /// If a tap was not seen, or shapes do not fit; the message lists those there are.
    pub fn loss(&self, student: &mut Context, teacher: &Lesson) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for (number, (own, given)) in self.pairs.iter().enumerate() {
            let Some(own_state) = student.tapped(own).cloned() else {
                return Err(unseen("student", own, student.taps()));
            };
            let Some(given_state) = teacher.tap(given) else {
                return Err(unseen("teacher", given, &teacher.taps));
            };
            let features = own_state.size(-1);
            let projected = match self.projections.get(number) {
                Some(layer) if layer.inputs() == features => layer.forward(&own_state, student),
                Some(layer) => {
                    let expected = layer.inputs();
                    return Err(mismatch(format!(
                        "hidden states: {own} has {features} features, not {expected}"
                    )));
                }
                None => own_state,
            };
            if projected.shape() != given_state.shape() {
                return Err(mismatch(format!(
                    "hidden states: {own} becomes {} and {given} is {}",
                    projected.shape(),
                    given_state.shape()
                )));
            }
            let loss = hidden_loss(&projected, given_state);
            sum = Some(sum.map_or(loss.clone(), |sum| sum + loss));
        }
        let count = self.pairs.len() as f64;
        sum.map(|sum| sum / count).ok_or_else(|| mismatch("hidden states: no pairs were given"))
    }
}

fn unseen(whose: &str, name: &str, taps: &[(String, Tensor)]) -> Error {
    let known: Vec<&str> = taps.iter().map(|(name, _)| name.as_str()).collect();
    let known =
        if known.is_empty() { "none; use Context::with_taps".to_owned() } else { known.join(", ") };
    mismatch(format!("hidden states: the {whose} has shown no {name}, but {known}"))
}

fn mismatch(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Mismatch, message)
}
