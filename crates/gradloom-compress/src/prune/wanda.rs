//! Wanda: weights by their size times the size of what they are multiplied with.

use super::calibration::InputStatistics;
use super::errors::invalid;
use super::masks::Masks;
use super::ranks::{Sparsity, kept_in_rows};
use gradloom_nn::{Module, ModuleExt, Parameter};
use gradloom_tensor::{Result, eval};

/// Masks by `|weight| * norm of the input`, compared within each row of a matrix `[O, I]`: no weight changes, and
/// nothing is trained. The sparsity is [`PerLayer`](Sparsity::PerLayer), whose part of each row goes (rounded down),
/// or a [`Pattern`](Sparsity::Pattern).
///
/// Sun et al., "A simple and effective pruning approach for large language models", 2024.
///
/// ```
/// use gradloom_compress::prune::{InputStatistics, Sparsity, wanda};
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Init, Layer};
/// use gradloom_tensor::{Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let mut layer = Linear::new(2, 1, &mut Init::new(Key::new(0), &device));
/// layer.weight.set(&Tensor::new([[1.0f32, 2.0]], &device)?);
/// let batch = Tensor::new([[3.0f32, 1.0]], &device)?;
/// let inputs = InputStatistics::squares(&layer, [batch], |layer, x, ctx| layer.forward(&x, ctx))?;
/// let masks = wanda(&layer, &inputs, Sparsity::PerLayer(0.5), |_, weight| weight.rank() == 2)?;
/// // 1 * 3 is more than 2 * 1.
/// assert_eq!(masks.get("weight").unwrap().to_vec::<bool>()?, [true, false]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If a chosen weight's inputs were not seen, the sparsity is global or not within `0..1`, or the device cannot
/// compute the masks.
pub fn wanda(
    model: &(impl Module + ?Sized),
    inputs: &InputStatistics,
    sparsity: Sparsity,
    choose: impl Fn(&str, &Parameter) -> bool,
) -> Result<Masks> {
    sparsity.check()?;
    let mut scores = Vec::new();
    for (name, parameter) in model.parameters() {
        if choose(&name, parameter) {
            let norms = inputs.squares_of(&name, parameter)?.sqrt();
            scores.push((name, parameter.wide().abs() * norms));
        }
    }
    let Sparsity::PerLayer(part) = sparsity else {
        if let Sparsity::Global(_) = sparsity {
            return Err(invalid(
                "wanda: scores of different layers cannot be compared; use Sparsity::PerLayer",
            ));
        }
        return Masks::of_scores(scores, sparsity);
    };
    if scores.is_empty() {
        return Err(invalid("prune: no weight was chosen"));
    }
    let masks: Vec<_> =
        scores.iter().map(|(name, score)| (name.clone(), kept_in_rows(score, part))).collect();
    eval(masks.iter().map(|(_, mask)| mask)).map_err(|error| error.context("wanda"))?;
    Ok(masks.into_iter().collect())
}
