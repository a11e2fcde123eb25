//! Sums and maxima of windows, and their transposes.

use gradloom_tensor::Shape;

use super::convolution::for_each_tap;
use super::fault::Fault;
use super::operand::{Operands, linear};
use super::value::{Sum, least};
use crate::kernel::Pool;

/// The elements of both sides, and for each window the elements it covers, in row-major order.
struct Windows {
    input: Shape,
    output: Shape,
    covered: Vec<Vec<usize>>,
}

impl Windows {
    fn new(pool: &Pool) -> Windows {
        let all =
            |[depth, height, width]: [usize; 3]| Shape::new(&[pool.planes, depth, height, width]);
        let (input, output) = (all(pool.input_size), all(pool.output_size));
        let mut covered = vec![Vec::new(); output.count()];
        for plane in 0..pool.planes {
            for_each_tap(&pool.window, pool.input_size, pool.output_size, |at, _, place| {
                let window = &mut covered[linear(&output, &[plane, at[0], at[1], at[2]])];
                window.push(linear(&input, &[plane, place[0], place[1], place[2]]));
            });
        }
        Windows { input, output, covered }
    }

    /// For each window the first of its largest elements; `None` if it covers padding alone.
    fn winners(&self, values: &[f64]) -> Vec<Option<usize>> {
        let windows = self.covered.iter();
        windows.map(|places| first_extreme(values, places, |a, b| a > b)).collect()
    }
}

/// The first of the places where no value is better than there; NaN wins.
pub(super) fn first_extreme(
    values: &[f64],
    places: &[usize],
    better: impl Fn(f64, f64) -> bool,
) -> Option<usize> {
    places.iter().copied().reduce(|best, place| {
        let (champion, value) = (values[best], values[place]);
        let wins = !champion.is_nan() && (value.is_nan() || better(value, champion));
        if wins { place } else { best }
    })
}

pub(super) fn maximum(pool: &Pool, operands: &Operands) -> Result<Vec<f64>, Fault> {
    let windows = Windows::new(pool);
    let operand = operands.get(0)?;
    let values = operand.whole(windows.input)?;
    let winners = windows.winners(&values).into_iter();
    Ok(winners.map(|winner| winner.map_or(least(operand.dtype), |place| values[place])).collect())
}

/// Values at the places of the windows' maxima.
pub(super) fn maximum_scatter(pool: &Pool, operands: &Operands) -> Result<Vec<f64>, Fault> {
    let windows = Windows::new(pool);
    let winners = windows.winners(&operands.get(0)?.whole(windows.input)?);
    let dtype = operands.get(1)?.dtype;
    let values = operands.get(1)?.whole(windows.output)?;
    let mut sums = vec![Sum::of(dtype); windows.input.count()];
    for (winner, value) in winners.into_iter().zip(values) {
        if let Some(place) = winner {
            sums[place].add(value);
        }
    }
    Ok(sums.into_iter().map(|sum| sum.value(dtype)).collect())
}

/// The source's elements at the places of the windows' maxima.
pub(super) fn maximum_gather(pool: &Pool, operands: &Operands) -> Result<Vec<f64>, Fault> {
    let windows = Windows::new(pool);
    let winners = windows.winners(&operands.get(0)?.whole(windows.input)?);
    let source = operands.get(1)?.whole(windows.input)?;
    Ok(winners.into_iter().map(|winner| winner.map_or(0.0, |place| source[place])).collect())
}

pub(super) fn sum(pool: &Pool, operands: &Operands) -> Result<Vec<f64>, Fault> {
    let windows = Windows::new(pool);
    let operand = operands.get(0)?;
    let values = operand.whole(windows.input)?;
    let sum = |places: &Vec<usize>| {
        let mut sum = Sum::of(operand.dtype);
        places.iter().for_each(|&place| sum.add(values[place]));
        sum.value(operand.dtype)
    };
    Ok(windows.covered.iter().map(sum).collect())
}

/// Each value at every place of its window.
pub(super) fn sum_scatter(pool: &Pool, operands: &Operands) -> Result<Vec<f64>, Fault> {
    let windows = Windows::new(pool);
    let operand = operands.get(0)?;
    let values = operand.whole(windows.output)?;
    let mut sums = vec![Sum::of(operand.dtype); windows.input.count()];
    for (places, value) in windows.covered.iter().zip(values) {
        places.iter().for_each(|&place| sums[place].add(value));
    }
    Ok(sums.into_iter().map(|sum| sum.value(operand.dtype)).collect())
}
