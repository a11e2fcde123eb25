//! [`Occlusion`]: a window that slides over the features.

use gradloom_tensor::{Error, Result, Tensor};

use crate::perturbations::Variants;
use crate::{Attribution, Baseline, Forward, Inputs, Method, Target, rows};

/// How much the target falls if a window is replaced by the baseline: for each element the mean over the
/// windows that cover it, of which those at the upper ends may reach beyond.
///
/// Zeiler, Fergus, "Visualizing and understanding convolutional networks", 2013. As `captum.attr.Occlusion`.
#[derive(Clone, Debug)]
pub struct Occlusion {
    /// The window's sizes along the axes of samples, for each tensor of features.
    pub windows: Vec<Vec<usize>>,
    /// How far it is moved along each axis; by 1 where there are none.
    pub strides: Vec<Vec<usize>>,
    /// What takes the place of what it covers.
    pub baseline: Baseline,
    /// Variants of the batch that are run at once; as many as fit without.
    pub perturbations_per_eval: Option<usize>,
}

impl Occlusion {
    /// A window for the only tensor of features, moved by `stride` along each axis.
    pub fn new(window: &[usize], stride: &[usize]) -> Self {
        Occlusion {
            windows: vec![window.to_vec()],
            strides: vec![stride.to_vec()],
            baseline: Baseline::Zero,
            perturbations_per_eval: None,
        }
    }

    fn sliding(&self, number: usize, sample: &[usize]) -> Result<Sliding> {
        let window = &self.windows[number];
        let stride = self.strides.get(number).cloned().unwrap_or_else(|| vec![1; window.len()]);
        let fits = window.len() == sample.len()
            && stride.len() == sample.len()
            && window.iter().zip(sample).all(|(window, size)| (1..=*size).contains(window))
            && stride.iter().zip(window).all(|(stride, window)| (1..=*window).contains(stride));
        if !fits {
            return Err(Error::invalid(format!(
                "occlusion: a window of {window:?} moved by {stride:?} over samples of {sample:?}; each axis \
                 needs a window within the sample, moved by at least 1 and at most its own size"
            )));
        }
        let along = sample.iter().zip(&window[..]).zip(&stride);
        let counts = along.map(|((size, window), stride)| (size - window).div_ceil(*stride) + 1);
        let counts = counts.collect();
        Ok(Sliding { sample: sample.to_vec(), window: window.clone(), stride, counts })
    }
}

/// Places of a window.
struct Sliding {
    sample: Vec<usize>,
    window: Vec<usize>,
    stride: Vec<usize>,
    counts: Vec<usize>,
}

impl Sliding {
    fn count(&self) -> usize {
        self.counts.iter().product()
    }

    /// Whether the window at a place covers an element.
    fn covers(&self, mut place: usize, mut element: usize) -> bool {
        (0..self.sample.len()).rev().all(|axis| {
            let (at, index) = (place % self.counts[axis], element % self.sample[axis]);
            (place, element) = (place / self.counts[axis], element / self.sample[axis]);
            let start = at * self.stride[axis];
            (start..start + self.window[axis]).contains(&index)
        })
    }
}

impl Method for Occlusion {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let op = "occlusion";
        let at_once = self.perturbations_per_eval;
        let variants = Variants::new(op, forward, inputs, target, &self.baseline, at_once)?;
        let (given, wanted) = (self.windows.len(), inputs.features.len());
        if given != wanted {
            return Err(Error::invalid(format!("{op}: {given} windows for {wanted} features")));
        }
        let whole = variants.values(1, &|_, tensor, kept| {
            kept.extend(std::iter::repeat_n(
                true,
                inputs.features[tensor].count() / inputs.batch(),
            ));
        })?;
        let mut features = Vec::with_capacity(wanted);
        for (number, x) in inputs.features.iter().enumerate() {
            let sliding = self.sliding(number, &x.shape()[1..])?;
            let elements = |tensor: usize| inputs.features[tensor].count() / inputs.batch();
            let values = variants.values(sliding.count(), &|place, tensor, kept| {
                let covers = |element| tensor == number && sliding.covers(place, element);
                kept.extend((0..elements(tensor)).map(|element| !covers(element)));
            })?;
            features.push(mean_falls(&sliding, &whole[0], &values, x)?);
        }
        Ok(Attribution { features, delta: None })
    }
}

fn mean_falls(
    sliding: &Sliding,
    whole: &[f64],
    values: &[Vec<f64>],
    like: &Tensor,
) -> Result<Tensor> {
    let elements: usize = sliding.sample.iter().product();
    let mut sums = vec![vec![0.0; elements]; whole.len()];
    let mut covered = vec![0.0; elements];
    for (place, row) in values.iter().enumerate() {
        for element in (0..elements).filter(|&element| sliding.covers(place, element)) {
            covered[element] += 1.0;
            for (sample, value) in row.iter().enumerate() {
                sums[sample][element] += whole[sample] - value;
            }
        }
    }
    let means = sums.iter().flat_map(|sums| sums.iter().zip(&covered).map(|(sum, n)| sum / n));
    rows::tensor_like(&means.collect::<Vec<f64>>(), *like.shape(), like)
}
