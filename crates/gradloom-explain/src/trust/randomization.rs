//! [`randomization_check`]: an explanation of a model must change with the model's weights.

use gradloom_nn::{Module, ModuleExt, Role};
use gradloom_tensor::{Key, Result, Tensor, eval};

use crate::{Forward, Inputs, Method, Target, rows};

/// What was left of an explanation when weights had become random.
#[derive(Clone, Debug, PartialEq)]
pub struct Randomized {
    /// The last parameter that was made random; all behind it in the model's order were before.
    pub parameter: String,
    /// Spearman's rank correlation of the sizes of the attributions before and after: 1 if the explanation
    /// does not depend on these weights.
    pub correlation: f64,
}

/// Makes the parameters of a model random, one after another from the last to the first, and compares the
/// attributions each time. A method that is about the model falls towards 0.
///
/// Random weights are normally distributed, with the mean and the deviation of the learnt ones.
/// Adebayo et al., "Sanity checks for saliency maps", 2018 (cascading randomisation).
///
/// # Errors
/// As the method's own.
pub fn randomization_check<M: Module + Clone>(
    model: &M,
    forward: impl for<'m> Fn(&'m M) -> Forward<'m>,
    method: &dyn Method,
    inputs: &Inputs,
    target: &Target,
    key: Key,
) -> Result<Vec<Randomized>> {
    let sizes = |model: &M| -> Result<Vec<f64>> {
        let attribution = method.attribute(&forward(model), inputs, target)?;
        let mut sizes = Vec::new();
        for feature in &attribution.features {
            sizes.extend(rows::numbers(feature)?.into_iter().map(f64::abs));
        }
        Ok(sizes)
    };
    let learnt = ranks(&sizes(model)?);
    let names = model.parameters().into_iter();
    let weights = names.filter(|(_, parameter)| parameter.role() != Role::State);
    let names: Vec<String> = weights.map(|(name, _)| name).collect();
    let mut model = model.clone();
    let mut found = Vec::with_capacity(names.len());
    for (number, parameter) in names.into_iter().enumerate().rev() {
        let mut values: Vec<Tensor> = Vec::new();
        model.for_each_parameter(|name, candidate| {
            if name == parameter {
                let random = like(candidate.tensor(), key.fold(number as u32));
                candidate.set(&random);
                values.push(random);
            }
        });
        eval(&values)?;
        let correlation = pearson(&learnt, &ranks(&sizes(&model)?));
        found.push(Randomized { parameter, correlation });
    }
    Ok(found)
}

/// Random weights with the mean and the deviation of learnt ones; of equal ones, with a deviation of 1.
fn like(weights: &Tensor, key: Key) -> Tensor {
    let deviation = weights.std(.., 0.0);
    let deviation = deviation.eq(0.0).select(deviation.ones_like(), &deviation);
    weights.randn_like(key).mul(deviation).add(weights.mean(..))
}

/// The place of each number in the order, the mean of the places for equal ones.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
    let mut ranks = vec![0.0; numbers.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&a, &b| numbers[a] == numbers[b]) {
        let middle = first as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|&at| ranks[at] = middle);
        first += equal.len();
    }
    ranks
}

/// 0 if one of the two does not vary.
fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len().max(1) as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::{pearson, ranks};

    #[test]
    fn rank_correlation_is_spearmans() {
        assert_eq!(ranks(&[3.0, 1.0, 2.0, 1.0]), [3.0, 0.5, 2.0, 0.5]);
        // scipy.stats.spearmanr([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]).statistic
        let rho = pearson(&ranks(&[1.0, 2.0, 3.0, 4.0, 5.0]), &ranks(&[5.0, 6.0, 7.0, 8.0, 7.0]));
        assert!((rho - 0.820_782_681_668_123_3).abs() < 1e-12, "{rho}");
        assert_eq!(pearson(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
    }
}
