//! Weight sharing: each weight is one of a few numbers.

use gradloom_nn::{Module, ModuleExt, Parameter};
use gradloom_tensor::{DType, Error, ErrorKind, Result, Tensor};

/// The numbers that a weight's elements are.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedWeight {
    /// The weight's name.
    pub name: String,
    /// Its numbers, ascending.
    pub values: Vec<f32>,
    /// The mean of the squared change.
    pub error: f64,
}

impl SharedWeight {
    /// How many bits say which of the numbers an element is.
    pub fn bits(&self) -> u32 {
        self.values.len().next_power_of_two().trailing_zeros()
    }
}

/// Gives every element of each chosen weight one of at most `count` numbers, found by k-means of the weight's values, which
/// begins with numbers evenly between the least and the largest. Zeros are a number of their own if there are any, so
/// masks hold.
///
/// Han, Mao, Dally, "Deep compression", 2016.
///
/// # Errors
/// If no weight is chosen, `count` is less than two, or a weight is not finite or cannot be read; the model is then as
/// before.
pub fn share_weights(
    model: &mut (impl Module + ?Sized),
    count: usize,
    choose: impl Fn(&str, &Parameter) -> bool,
) -> Result<Vec<SharedWeight>> {
    if count < 2 {
        return Err(invalid(format!("weight sharing: {count} numbers; give at least 2")));
    }
    let mut report = Vec::new();
    let mut changed: Vec<Tensor> = Vec::new();
    for (name, parameter) in model.parameters() {
        if !choose(&name, parameter) {
            continue;
        }
        let mut values = parameter.cast(DType::F32).to_vec::<f32>()?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(invalid(format!("weight sharing: {name} is not finite")));
        }
        let (centres, error) = cluster(&mut values, count);
        let tensor = Tensor::from_slice(&values, *parameter.shape(), parameter.device())?;
        changed.push(tensor.cast(parameter.dtype()));
        report.push(SharedWeight { name, values: centres, error });
    }
    if report.is_empty() {
        return Err(invalid("weight sharing: no weight was chosen"));
    }
    gradloom_tensor::eval(&changed)?;
    model.for_each_parameter(|name, parameter| {
        if let Some(number) = report.iter().position(|own| own.name == name) {
            parameter.set(&changed[number]);
        }
    });
    Ok(report)
}

/// Moves values to the centres of their clusters; gives these and the mean squared change. Zero is a centre of its own
/// if it occurs.
fn cluster(values: &mut [f32], count: usize) -> (Vec<f32>, f64) {
    const ROUNDS_MAX: usize = 100;
    let mut sorted: Vec<f32> = values.iter().copied().filter(|value| *value != 0.0).collect();
    let has_zeros = sorted.len() < values.len();
    sorted.sort_by(f32::total_cmp);
    let [Some(&least), Some(&largest)] = [sorted.first(), sorted.last()] else {
        return (vec![0.0], 0.0);
    };
    let free = if has_zeros { count - 1 } else { count };
    let step = (largest - least) / (free.max(2) - 1) as f32;
    let mut centres: Vec<f32> = (0..free).map(|index| least + step * index as f32).collect();
    for _ in 0..ROUNDS_MAX {
        let means = means(&sorted, &centres);
        if means == centres {
            break;
        }
        centres = means;
    }
    let mut error = 0.0;
    let mut used = vec![false; centres.len()];
    for value in values.iter_mut().filter(|value| **value != 0.0) {
        let index = nearest(&centres, *value);
        used[index] = true;
        error += f64::from(*value - centres[index]).powi(2);
        *value = centres[index];
    }
    // A centre in a gap of the values is no number of theirs.
    let used = centres.iter().zip(&used).filter(|(_, used)| **used).map(|(centre, _)| *centre);
    let mut numbers: Vec<f32> = used.chain(has_zeros.then_some(0.0)).collect();
    numbers.sort_by(f32::total_cmp);
    numbers.dedup();
    (numbers, error / values.len().max(1) as f64)
}

/// The means of sorted values by their nearest centres; a centre without values stays.
fn means(sorted: &[f32], centres: &[f32]) -> Vec<f32> {
    let mut first = 0;
    let of = |(index, &centre): (usize, &f32)| {
        let end = match centres.get(index + 1) {
            Some(next) => {
                let middle = centre + (next - centre) / 2.0;
                first + sorted[first..].partition_point(|value| *value < middle)
            }
            None => sorted.len(),
        };
        let own = &sorted[first..end];
        first = end;
        let sum: f64 = own.iter().map(|&value| f64::from(value)).sum();
        if own.is_empty() { centre } else { (sum / own.len() as f64) as f32 }
    };
    centres.iter().enumerate().map(of).collect()
}

fn nearest(centres: &[f32], value: f32) -> usize {
    let after = centres.partition_point(|centre| *centre < value).min(centres.len() - 1);
    let before = after.saturating_sub(1);
    if value - centres[before] < centres[after] - value { before } else { after }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
