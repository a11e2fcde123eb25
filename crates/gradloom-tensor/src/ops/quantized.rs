//! Matrices in blocks of small integers that share scales.
//!
//! Such a tensor is an ordinary f32 matrix to everyone who uses it. Products `x W^T` and embeddings
//! read the blocks directly; any other use computes the numbers first.

use std::sync::Arc;

use crate::blocks::{BlockFormat, interleave};
use crate::called::demand;
use crate::op::Op;
use crate::outside::BytesSource;
use crate::shape_rules::{self, structured};
use crate::{DType, Device, Error, Result, Shape, Tensor};

impl Tensor {
    /// A matrix `[rows, columns]` over blocks in the order of GGUF files: row by row.
    ///
    /// dtype f32. The gradient stops here: such weights are not learnt.
    ///
    /// # Errors
    /// If the columns are no whole number of blocks, the bytes do not fit the shape, or the upload
    /// fails.
    #[track_caller]
    pub fn from_blocks(
        format: BlockFormat,
        [rows, columns]: [usize; 2],
        blocks: &[u8],
        device: &Device,
    ) -> Result<Tensor> {
        check_blocks("from_blocks", format, [rows, columns], blocks.len())?;
        let words = interleave::interleave(format, rows, columns, blocks);
        let buffer = device.backend().upload(DType::U32, &words)?;
        let words = Tensor::from_buffer(buffer, words.len() / 4, device);
        Ok(words.dequantize(format, [rows, columns]))
    }

    /// As [`Tensor::from_blocks`], of blocks that are outside: they are read and put in a device's order
    /// when they are needed first. The source can be read row by row.
    ///
    /// # Errors
    /// As [`Tensor::from_blocks`].
    #[track_caller]
    pub fn from_blocks_outside(
        format: BlockFormat,
        [rows, columns]: [usize; 2],
        plain: Arc<dyn BytesSource>,
        device: &Device,
    ) -> Result<Tensor> {
        check_blocks("from_blocks_outside", format, [rows, columns], plain.byte_count())?;
        let groups = interleave::Groups { format, rows, columns, plain };
        let count = groups.byte_count() / 4;
        let buffer = device.backend().adopt(DType::U32, Arc::new(groups))?;
        Ok(Tensor::from_buffer(buffer, count, device).dequantize(format, [rows, columns]))
    }

    /// The matrix `[rows, columns]` that interleaved blocks stand for.
    ///
    /// # Panics
    /// If these are not the words of such a matrix.
    #[track_caller]
    pub(crate) fn dequantize(&self, format: BlockFormat, [rows, columns]: [usize; 2]) -> Tensor {
        let expected = interleave::bytes(format, rows, columns) / 4;
        demand!(
            self.dtype() == DType::U32 && self.count() == expected,
            "dequantize: {} {} is no [{rows}, {columns}] in {format}",
            self.dtype(),
            self.shape()
        );
        let shape = Shape::new(&[rows, columns]);
        let op = Op::Dequantize(format);
        Tensor::from_op(op, vec![self.clone()], shape, DType::F32, self.device())
    }

    /// This matrix in blocks: each number rounded to its block's scale.
    ///
    /// # Errors
    /// If this is no f32 matrix whose columns are whole blocks, or its values cannot be computed.
    #[track_caller]
    pub fn quantize(&self, format: BlockFormat) -> Result<Tensor> {
        let wrong = |why: String| Error::shape(format!("quantize: {why}"));
        structured::rank("quantize", "a matrix", self.shape(), 2)?;
        if self.dtype() != DType::F32 {
            return Err(wrong(format!("needs f32, got {}", self.dtype())));
        }
        let (rows, columns) = (self.size(0), self.size(1));
        if !columns.is_multiple_of(format.elements()) {
            return Err(wrong(format!(
                "rows of {columns} numbers are no whole {format} blocks of {}",
                format.elements()
            )));
        }
        let values = self.to_vec::<f32>()?;
        let mut blocks = vec![0; values.len() / format.elements() * format.bytes()];
        format.encode(&values, &mut blocks);
        Tensor::from_blocks(format, [rows, columns], &blocks, self.device())
    }

    /// True for a matrix over blocks.
    pub fn is_quantized(&self) -> bool {
        self.block_format().is_some()
    }

    /// How a matrix over blocks stores its numbers; `None` for other tensors.
    pub fn block_format(&self) -> Option<BlockFormat> {
        match self.op() {
            Op::Dequantize(format) if self.value().is_none() => Some(*format),
            _ => None,
        }
    }

    /// The blocks of a matrix over blocks, in the order of GGUF files; `None` for other tensors.
    ///
    /// # Errors
    /// If the device cannot give them back.
    pub fn to_blocks(&self) -> Result<Option<Vec<u8>>> {
        let Some(format) = self.block_format() else { return Ok(None) };
        let words = self.inputs()[0].to_bytes()?;
        Ok(Some(interleave::plain(format, self.size(0), self.size(1), &words)))
    }
}

/// Fails if so many bytes of plain blocks are no such matrix.
fn check_blocks(
    method: &str,
    format: BlockFormat,
    [rows, columns]: [usize; 2],
    bytes: usize,
) -> Result<()> {
    if !columns.is_multiple_of(format.elements()) {
        return Err(Error::shape(format!(
            "{method}: rows of {columns} numbers are no whole {format} blocks of {}",
            format.elements()
        )));
    }
    let expected = (columns / format.elements()).checked_mul(rows);
    if expected.and_then(|count| count.checked_mul(format.bytes())) != Some(bytes) {
        return Err(Error::shape(format!(
            "{method}: {bytes} bytes are no [{rows}, {columns}] in {format}"
        )));
    }
    shape_rules::addressable(method, &Shape::new(&[rows, columns]))
}
