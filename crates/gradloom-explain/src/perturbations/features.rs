//! [`Features`]: which elements belong together, as one thing that is there or not.

use std::collections::BTreeMap;

use gradloom_tensor::{Error, Result, Tensor};

use crate::Inputs;

/// A label for each element of a sample; elements of one label are one feature, in whatever tensor they lie.
///
/// Tables have a feature for each column, texts one for each token, pictures one for each segment.
///
/// ```
/// use gradloom_explain::Features;
///
/// // Tokens of texts of three tokens, embedded in four numbers each.
/// let tokens = Features::along(&[3, 4], 0)?;
/// assert_eq!((tokens.count(), &tokens.labels()[0][..6]), (3, &[0, 0, 0, 0, 1, 1][..]));
/// // Squares of two by two pixels of a picture with three channels.
/// assert_eq!(Features::grid(&[3, 4, 6], [2, 2])?.count(), 6);
/// # Ok::<(), gradloom_tensor::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    labels: Vec<Vec<usize>>,
    count: usize,
}

impl Features {
    /// Any labels, a list for each tensor of features, in row-major order of a sample. They are numbered
    /// anew, in their order.
    ///
    /// # Errors
    /// If there are none.
    pub fn new(labels: impl IntoIterator<Item = Vec<usize>>) -> Result<Self> {
        let mut labels: Vec<Vec<usize>> = labels.into_iter().collect();
        let mut numbers: BTreeMap<usize, usize> =
            labels.iter().flatten().map(|&label| (label, 0)).collect();
        if numbers.is_empty() {
            return Err(Error::invalid(
                "features: no labels; give one for each element of a sample",
            ));
        }
        for (number, (_, place)) in numbers.iter_mut().enumerate() {
            *place = number;
        }
        labels.iter_mut().flatten().for_each(|label| *label = numbers[label]);
        Ok(Features { labels, count: numbers.len() })
    }

    /// Each element is a feature of its own.
    ///
    /// # Errors
    /// If there are no elements.
    pub fn each(inputs: &Inputs) -> Result<Self> {
        let mut next = 0;
        Features::new(inputs.features.iter().map(|feature| {
            let elements = feature.count() / feature.shape().first().copied().unwrap_or(1).max(1);
            let first = next;
            next += elements;
            (first..next).collect()
        }))
    }

    /// One feature for each index along an axis of samples of this shape: columns of a table, tokens of an
    /// embedded text, channels of a picture.
    ///
    /// # Errors
    /// If there is no such axis, or a size is zero.
    pub fn along(sample: &[usize], axis: usize) -> Result<Self> {
        let Some(&size) = sample.get(axis) else {
            return Err(Error::invalid(format!(
                "features: no axis {axis} in samples of {sample:?}"
            )));
        };
        let inner: usize = sample[axis + 1..].iter().product();
        let count: usize = sample.iter().product();
        if count == 0 {
            return Err(Error::invalid(format!(
                "features: samples of {sample:?} have no elements"
            )));
        }
        Features::new([(0..count).map(|element| element / inner % size).collect()])
    }

    /// Rectangles of the last two axes, through all channels, row by row; those at the lower and right
    /// edges may be smaller.
    ///
    /// # Errors
    /// If samples have fewer than two axes, or a size is zero.
    pub fn grid(sample: &[usize], cell: [usize; 2]) -> Result<Self> {
        let [.., height, width] = *sample else {
            return Err(Error::invalid(format!("features: a grid over samples of {sample:?}")));
        };
        if sample.contains(&0) || cell.contains(&0) {
            return Err(Error::invalid(format!(
                "features: cells of {cell:?} of samples {sample:?}"
            )));
        }
        let count: usize = sample.iter().product();
        let columns = width.div_ceil(cell[1]);
        let label = |element: usize| {
            let (row, column) = (element / width % height, element % width);
            row / cell[0] * columns + column / cell[1]
        };
        Features::new([(0..count).map(label).collect()])
    }

    /// Number of features.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The labels `0..count`, for each tensor.
    pub fn labels(&self) -> &[Vec<usize>] {
        &self.labels
    }

    /// The features to use for inputs: these, or each element where there are none.
    ///
    /// # Errors
    /// If the labels are not those of the inputs.
    pub(crate) fn or_each(features: Option<&Features>, op: &str, inputs: &Inputs) -> Result<Self> {
        let Some(features) = features else { return Features::each(inputs) };
        let (given, wanted) = (features.labels.len(), inputs.features.len());
        if given != wanted {
            return Err(Error::invalid(format!("{op}: labels of {given} tensors for {wanted}")));
        }
        for (number, (labels, feature)) in features.labels.iter().zip(&inputs.features).enumerate()
        {
            let elements = feature.count() / inputs.batch();
            if labels.len() != elements {
                return Err(Error::shape(format!(
                    "{op}: {} labels for feature {number} of shape {}, whose samples have {elements} elements",
                    labels.len(),
                    feature.shape()
                )));
            }
        }
        Ok(features.clone())
    }

    /// Values of features as elements of samples: `[B][count]` to the shapes of the inputs.
    pub(crate) fn spread(&self, values: &[Vec<f64>], inputs: &Inputs) -> Result<Vec<Tensor>> {
        let tensors = self.labels.iter().zip(&inputs.features).map(|(labels, like)| {
            let spread: Vec<f64> =
                values.iter().flat_map(|row| labels.iter().map(|&label| row[label])).collect();
            crate::rows::tensor_like(&spread, *like.shape(), like)
        });
        tensors.collect()
    }
}
