//! [`TensorDataset`]: rows of numbers in host memory with targets of any dtype and shape: classes, numbers to
//! predict, one bit for each of several labels.
//!
//! Rows are kept as bytes, so one type serves all dtypes; a transform of numbers belongs before, where the
//! tensors are made, or after, on the device.

use std::sync::Arc;

use crate::batch::Collate;
use crate::dataset::Dataset;
use crate::{Error, Result};
use gradloom_tensor::{DType, Device, Element, Tensor};

/// Elements of one dtype in host memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Dtype of the elements.
    pub dtype: DType,
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// The elements in host order, row-major.
    pub bytes: Vec<u8>,
}

impl Rows {
    /// The elements on a device.
    ///
    /// # Errors
    /// If the device has no memory or not the dtype.
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        Tensor::from_bytes(self.dtype, &self.bytes, &self.shape[..], device)
            .map_err(|error| error.context("batch: upload failed"))
    }
}

/// An input and its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRow {
    /// What a model reads.
    pub input: Rows,
    /// What it shall say.
    pub target: Rows,
}

/// Inputs and targets side by side, in host memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowBatch {
    /// `[B, ..]`
    pub inputs: Rows,
    /// `[B, ..]`
    pub targets: Rows,
}

impl RowBatch {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.inputs.shape.first().copied().unwrap_or_default()
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Inputs and targets on a device.
    ///
    /// # Errors
    /// If the device has no memory or not the dtype.
    pub fn to_tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        Ok((self.inputs.to_tensor(device)?, self.targets.to_tensor(device)?))
    }
}

/// Inputs and targets by their first axis, in host memory. Clones share the elements.
///
/// ```
/// use gradloom_data::{Dataset, TensorDataset};
///
/// # fn main() -> gradloom_data::Result<()> {
/// // Three texts of two features, each with any of two labels.
/// let features = vec![0.1f32, 0.2, 0.3, 0.4, 0.5, 0.6];
/// let labels = vec![1.0f32, 0.0, 1.0, 1.0, 0.0, 0.0];
/// let dataset = TensorDataset::from_rows([3, 2], features, [3, 2], labels)?;
/// assert_eq!(dataset.len(), 3);
/// assert_eq!(dataset.get(1)?.target.shape, [2]);
/// assert_eq!((dataset.input_shape(), dataset.target_shape()), (&[2][..], &[2][..]));
/// # Ok(())
/// # }
/// ```
///
/// PyTorch: `torch.utils.data.TensorDataset`.
#[derive(Clone, Debug)]
pub struct TensorDataset {
    inputs: Arc<Rows>,
    targets: Arc<Rows>,
}

impl TensorDataset {
    /// From tensors whose first axes count the samples; their elements are copied to the host.
    ///
    /// # Errors
    /// If a tensor cannot be computed or has no axis, or the first axes differ.
    pub fn new(inputs: &Tensor, targets: &Tensor) -> Result<Self> {
        let rows = |tensor: &Tensor| -> Result<Rows> {
            let (dtype, shape) = (tensor.dtype(), tensor.shape().to_vec());
            Ok(Rows { dtype, shape, bytes: tensor.to_bytes()? })
        };
        TensorDataset::paired(rows(inputs)?, rows(targets)?)
    }

    /// From numbers and their shapes, `[N, ..]` both.
    ///
    /// # Errors
    /// If numbers do not fit their shape, a shape is empty, or the first axes differ.
    pub fn from_rows<I: Element, T: Element>(
        input_shape: impl Into<Vec<usize>>,
        inputs: impl AsRef<[I]>,
        target_shape: impl Into<Vec<usize>>,
        targets: impl AsRef<[T]>,
    ) -> Result<Self> {
        let inputs = rows("inputs", input_shape.into(), inputs.as_ref())?;
        TensorDataset::paired(inputs, rows("targets", target_shape.into(), targets.as_ref())?)
    }

    /// Sizes of one sample's input: what the first layer of a model takes.
    pub fn input_shape(&self) -> &[usize] {
        &self.inputs.shape[1..]
    }

    /// Sizes of one sample's target.
    pub fn target_shape(&self) -> &[usize] {
        &self.targets.shape[1..]
    }

    fn paired(inputs: Rows, targets: Rows) -> Result<Self> {
        match (inputs.shape.first(), targets.shape.first()) {
            (Some(count), Some(others)) if count == others => {
                Ok(TensorDataset { inputs: Arc::new(inputs), targets: Arc::new(targets) })
            }
            _ => Err(Error::invalid(format!(
                "tensor dataset: inputs {:?} and targets {:?} differ in the first axis, which counts the \
                 samples",
                inputs.shape, targets.shape
            ))),
        }
    }
}

fn rows<T: Element>(what: &str, shape: Vec<usize>, values: &[T]) -> Result<Rows> {
    let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    if count != Some(values.len()) {
        return Err(Error::invalid(format!(
            "tensor dataset: {} {what} do not make {shape:?}",
            values.len()
        )));
    }
    Ok(Rows { dtype: T::DTYPE, shape, bytes: T::to_bytes(values).into_owned() })
}

fn row(rows: &Rows, index: usize) -> Rows {
    let shape = rows.shape[1..].to_vec();
    let size = shape.iter().product::<usize>() * rows.dtype.size();
    Rows { dtype: rows.dtype, shape, bytes: rows.bytes[index * size..(index + 1) * size].to_vec() }
}

impl Dataset for TensorDataset {
    type Item = TensorRow;

    fn len(&self) -> usize {
        self.inputs.shape[0]
    }

    fn get(&self, index: usize) -> Result<TensorRow> {
        if index >= self.len() {
            return Err(Error::sample_out_of_range("tensor dataset", index, self.len()));
        }
        Ok(TensorRow { input: row(&self.inputs, index), target: row(&self.targets, index) })
    }
}

/// Makes a [`RowBatch`] of rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct CollateRows;

impl Collate<TensorRow> for CollateRows {
    type Batch = RowBatch;

    fn collate(&self, samples: Vec<TensorRow>) -> Result<RowBatch> {
        let (inputs, targets): (Vec<Rows>, Vec<Rows>) =
            samples.into_iter().map(|sample| (sample.input, sample.target)).unzip();
        Ok(RowBatch { inputs: stacked(inputs)?, targets: stacked(targets)? })
    }
}

fn stacked(rows: Vec<Rows>) -> Result<Rows> {
    let Some(first) = rows.first() else {
        return Err(Error::invalid("batch: no rows to put side by side"));
    };
    let (dtype, size) = (first.dtype, first.shape.clone());
    let mut bytes = Vec::with_capacity(first.bytes.len() * rows.len());
    for (position, row) in rows.iter().enumerate() {
        if row.dtype != dtype || row.shape != size {
            return Err(Error::invalid(format!(
                "batch: row {position} is {} {:?}, the first {dtype} {size:?}",
                row.dtype, row.shape
            )));
        }
        bytes.extend_from_slice(&row.bytes);
    }
    let shape = std::iter::once(rows.len()).chain(size).collect();
    Ok(Rows { dtype, shape, bytes })
}

#[cfg(test)]
mod tests {
    use super::{CollateRows, TensorDataset};
    use crate::batch::Collate;
    use crate::{Dataset, Loader};

    #[test]
    fn rows_come_back_in_their_dtype_and_shape() {
        let inputs: Vec<f32> = (0..12).map(|number| number as f32).collect();
        let dataset = TensorDataset::from_rows([3, 2, 2], inputs, [3], vec![7i32, 8, 9]).unwrap();
        let row = dataset.get(2).unwrap();
        assert_eq!(row.input.bytes, [8.0f32, 9.0, 10.0, 11.0].map(f32::to_ne_bytes).concat());
        assert_eq!((row.target.shape.len(), row.target.bytes), (0, 9i32.to_ne_bytes().to_vec()));
        assert!(dataset.get(3).unwrap_err().is_index_out_of_range());
        let batch = Loader::rows(dataset).batch_size(2).epoch(0).nth(1).unwrap().unwrap();
        assert_eq!((batch.inputs.shape.as_slice(), batch.len()), (&[1, 2, 2][..], 1));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let make = |inputs: usize, targets: usize| {
            TensorDataset::from_rows([2, 3], vec![0f32; inputs], [targets], vec![0f32; targets])
        };
        assert!(make(6, 2).is_ok());
        assert!(make(5, 2).unwrap_err().to_string().contains("5 inputs"));
        assert!(make(6, 3).unwrap_err().to_string().contains("first axis"));
        let huge = TensorDataset::from_rows([usize::MAX, 2], [0f32; 2], [1], [0f32; 1]);
        assert!(huge.is_err());
        assert!(CollateRows.collate(Vec::new()).is_err());
    }
}
