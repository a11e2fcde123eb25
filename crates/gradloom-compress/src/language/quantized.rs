//! [`QuantizedMatrix`]: the integers, scales and zeros of a weight.

use super::{Matrix, Scheme};
use gradloom_tensor::{BlockFormat, Device, Error, ErrorKind, Result, Tensor, f16};

/// A matrix `[outputs, inputs]` as `scale * (code - zero)`, with a scale and a zero for each group of each row.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedMatrix {
    pub(super) scheme: Scheme,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    /// `0..=scheme.top()`, row by row.
    pub(super) codes: Vec<u8>,
    /// `[outputs, groups]`
    pub(super) scales: Vec<f32>,
    /// `[outputs, groups]`; the middle where the scheme is symmetric.
    pub(super) zeros: Vec<f32>,
    /// The group of each input where they are not in order.
    pub(super) order: Option<Vec<u32>>,
}

impl QuantizedMatrix {
    /// Of its parts: codes `[outputs, inputs]`, scales and zeros `[outputs, groups]`, and the group of each input if
    /// that is not its place divided by the size of groups.
    ///
    /// # Errors
    /// If their numbers do not fit, a code or a group is out of range, or a scale or a zero is not finite.
    pub fn from_parts(
        scheme: Scheme,
        [outputs, inputs]: [usize; 2],
        codes: Vec<u8>,
        scales: Vec<f32>,
        zeros: Vec<f32>,
        order: Option<Vec<u32>>,
    ) -> Result<Self> {
        let groups = inputs / scheme.group_of(inputs)?;
        let wrong = |message: String| {
            Err(Error::new(ErrorKind::Malformed, format!("quantized matrix: {message}")))
        };
        if codes.len() != outputs * inputs || codes.iter().any(|code| *code > scheme.top()) {
            return wrong(format!(
                "{} codes for [{outputs}, {inputs}], or one above {}",
                codes.len(),
                scheme.top()
            ));
        }
        if scales.len() != outputs * groups || zeros.len() != outputs * groups {
            let (scales, zeros) = (scales.len(), zeros.len());
            return wrong(format!(
                "{scales} scales and {zeros} zeros for {outputs} rows of {groups} groups"
            ));
        }
        if !scales.iter().chain(&zeros).all(|value| value.is_finite()) {
            return wrong("a scale or a zero is not finite".into());
        }
        if let Some(order) = &order
            && (order.len() != inputs || order.iter().any(|group| *group as usize >= groups))
        {
            return wrong(format!("groups of inputs must be {inputs} numbers below {groups}"));
        }
        Ok(QuantizedMatrix { scheme, outputs, inputs, codes, scales, zeros, order })
    }

    /// How it was quantized.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Number of rows.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Length of a row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Groups of a row.
    pub fn groups(&self) -> usize {
        self.scales.len().checked_div(self.outputs).unwrap_or(0)
    }

    /// The integers, row by row.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// `[outputs, groups]`
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// `[outputs, groups]`
    pub fn zeros(&self) -> &[f32] {
        &self.zeros
    }

    /// The group of each input where they are not in order, as with act-order without static groups.
    pub fn order(&self) -> Option<&[u32]> {
        self.order.as_deref()
    }

    /// The group of an input.
    pub(super) fn group(&self, input: usize) -> usize {
        match &self.order {
            Some(order) => order[input] as usize,
            None => input / (self.inputs / self.groups().max(1)).max(1),
        }
    }

    /// The numbers that it stands for.
    pub fn dequantize(&self) -> Matrix {
        let groups = self.groups();
        let group: Vec<usize> = (0..self.inputs).map(|input| self.group(input)).collect();
        let mut values = Vec::with_capacity(self.codes.len());
        for (row, codes) in self.codes.chunks_exact(self.inputs.max(1)).enumerate() {
            let at = |input: usize| row * groups + group[input];
            let value = |(input, code): (usize, &u8)| {
                self.scales[at(input)] * (f32::from(*code) - self.zeros[at(input)])
            };
            values.extend(codes.iter().enumerate().map(value));
        }
        Matrix::new([self.outputs, self.inputs], values)
    }

    /// Bytes with scales of 16 bits and packed codes and zeros.
    pub fn byte_count(&self) -> usize {
        let bits = self.scheme.bits() as usize;
        let zeros = if self.scheme.is_symmetric() { 0 } else { bits };
        let order = self.order.as_ref().map_or(0, |order| 4 * order.len());
        (self.codes.len() * bits + self.scales.len() * (16 + zeros)).div_ceil(8) + order
    }

    /// The format of blocks that has the same codes: Q4_0 and Q8_0 for symmetric ones of 4 and 8 bits, Q4_1 for
    /// asymmetric ones of 4 bits; none if there is none, or groups are no whole blocks.
    pub fn block_format(&self) -> Option<BlockFormat> {
        let group = self.inputs.checked_div(self.groups())?;
        let whole = self.order.is_none() && group.is_multiple_of(32);
        let format = match (self.scheme.bits(), self.scheme.is_symmetric()) {
            (4, true) => BlockFormat::Q4_0,
            (4, false) => BlockFormat::Q4_1,
            (8, true) => BlockFormat::Q8_0,
            _ => return None,
        };
        whole.then_some(format)
    }

    /// A matrix over blocks of the same codes, which products read as they are. Scales are rounded to 16 bits.
    ///
    /// # Errors
    /// If no format of blocks has such codes, or the device has no memory.
    pub fn to_blocks(&self, device: &Device) -> Result<Tensor> {
        let Some(format) = self.block_format() else {
            let scheme = self.scheme;
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "to_blocks: {scheme} is no block format; 4 bits, or 8 bits symmetric, in whole blocks of 32 are"
                ),
            ));
        };
        let mut bytes = Vec::with_capacity(self.codes.len() / 32 * format.bytes());
        for (block, codes) in self.codes.chunks_exact(32).enumerate() {
            let (row, input) = (block * 32 / self.inputs, block * 32 % self.inputs);
            let at = row * self.groups() + self.group(input);
            let (scale, zero) = (self.scales[at], self.zeros[at]);
            bytes.extend(f16::from_f32(scale).to_le_bytes());
            if format == BlockFormat::Q4_1 {
                bytes.extend(f16::from_f32(-scale * zero).to_le_bytes());
            }
            match format {
                BlockFormat::Q8_0 => bytes.extend(codes.iter().map(|code| code ^ 0x80)),
                _ => bytes.extend((0..16).map(|place| codes[place] | codes[place + 16] << 4)),
            }
        }
        Tensor::from_blocks(format, [self.outputs, self.inputs], &bytes, device)
    }
}
