//! [`Reading`]: from a place in a file to a tensor on a device.

use std::borrow::Cow;
use std::sync::Arc;

use crate::contents::{Contents, Located, Part, Place};
use crate::convert::{Plan, WideIntegers};
use crate::mapped::Region;
use crate::outside::{Converted, Rows};
use crate::scale::Meaning;
use crate::source::Source;
use crate::{Error, ReadOptions, Result, Stored, error};
use gradloom_tensor::{BlockFormat, BytesSource, DType, Device, Tensor};

/// One tensor that is asked for. Its shape was checked.
pub(crate) struct Reading<'a> {
    pub(crate) file: &'a str,
    pub(crate) source: &'a Source,
    pub(crate) contents: &'a Contents,
    pub(crate) name: &'a str,
    pub(crate) located: &'a Located,
    pub(crate) options: &'a ReadOptions<'a>,
    pub(crate) wide_integers: WideIntegers,
    pub(crate) device: &'a Device,
}

impl Reading<'_> {
    /// The tensor, which may stay in the file until it is needed.
    #[track_caller]
    pub(crate) fn tensor(&self) -> Result<Tensor> {
        match self.outside()? {
            Some(tensor) => Ok(tensor),
            None => self.at_once(),
        }
    }

    /// The tensor left in its mapped file; `None` if it has to be read at once.
    #[track_caller]
    fn outside(&self) -> Result<Option<Tensor>> {
        let (Source::Mapped(mapped), Some(place)) = (self.source, &self.located.place) else {
            return Ok(None);
        };
        let Place { part: Part::File, range, strides: None } = place else { return Ok(None) };
        if matches!(self.located.meaning, Meaning::Scaled(_)) {
            return Ok(None);
        }
        let (stored, shape) = (&self.located.entry.stored, self.shape());
        let Some(region) = Region::new(mapped, range).filter(|_| !range.is_empty()) else {
            return Ok(None);
        };
        let mut source: Arc<dyn BytesSource> = Arc::new(region);
        if let Some(order) = self.options.rows {
            let row_bytes = range.len() / self.located.entry.shape[0];
            source = Arc::new(Rows { rows: source, order: order.to_vec(), row_bytes });
        }
        if let Stored::Blocks(format) = *stored {
            let folded = folded(format, &shape, range.len());
            let matrix = Tensor::from_blocks_outside(format, folded, source, self.device);
            return Ok(Some(reshaped(matrix.map_err(|error| self.refused(error))?, &shape)));
        }
        let plan = self.plan()?;
        if plan.may_fail() {
            return Ok(None);
        }
        let dtype = plan.dtype();
        if !plan.changes_nothing() {
            source = Arc::new(Converted { raw: source, stored: stored.clone(), dtype });
        }
        let buffer = self.device.backend().adopt(dtype, source);
        let buffer = buffer.map_err(|error| self.refused(error))?;
        Ok(Some(Tensor::from_buffer(buffer, &shape[..], self.device)))
    }

    #[track_caller]
    fn at_once(&self) -> Result<Tensor> {
        if let Source::Mapped(mapped) = self.source
            && let Some(damage) = mapped.damage()
        {
            return Err(error::malformed(self.file, format!("{}: {damage}", self.name)));
        }
        let bytes = self.contents.bytes(self.source, self.located);
        let bytes = bytes.map_err(|fault| error::of(self.file, fault.within(self.name)))?;
        let bytes = self.ordered(bytes);
        let shape = self.shape();
        if let Stored::Blocks(format) = self.located.entry.stored {
            return self.blocks(format, &shape, &bytes).map_err(|error| self.refused(error));
        }
        let (dtype, bytes) = if let Meaning::Scaled(scale) = self.located.meaning {
            (scale.dtype(), scale.apply(&self.located.entry.stored, &bytes).into())
        } else {
            let plan = self.plan()?;
            (plan.dtype(), plan.convert(bytes).map_err(|message| self.wrong(message))?)
        };
        let buffer = self.device.backend().upload(dtype, &bytes);
        let buffer = buffer.map_err(|error| self.refused(error))?;
        Ok(Tensor::from_buffer(buffer, &shape[..], self.device))
    }

    /// A tensor over blocks.
    #[track_caller]
    fn blocks(
        &self,
        format: BlockFormat,
        shape: &[usize],
        bytes: &[u8],
    ) -> gradloom_tensor::Result<Tensor> {
        // A side without elements may be of any length, but there is nothing to store.
        if bytes.is_empty() {
            let buffer = self.device.backend().upload(DType::F32, &[])?;
            return Ok(Tensor::from_buffer(buffer, shape, self.device));
        }
        let folded = folded(format, shape, bytes.len());
        Ok(reshaped(Tensor::from_blocks(format, folded, bytes, self.device)?, shape))
    }

    fn plan(&self) -> Result<Plan<'_>> {
        let stored = &self.located.entry.stored;
        let full = matches!(self.located.meaning, Meaning::F32);
        let floats_as_f32 = self.options.floats_as_f32 || full;
        let plan = Plan::new(stored, self.wide_integers, floats_as_f32, self.device);
        plan.map_err(|message| self.wrong(message))
    }

    /// The shape of what is read.
    fn shape(&self) -> Vec<usize> {
        let mut shape = self.located.entry.shape.clone();
        if let Some(order) = self.options.rows {
            shape[0] = order.len();
        }
        shape
    }

    /// The rows that are asked for.
    fn ordered<'b>(&self, bytes: Cow<'b, [u8]>) -> Cow<'b, [u8]> {
        let Some(order) = self.options.rows else { return bytes };
        let row = bytes.len() / self.located.entry.shape[0].max(1);
        order.iter().flat_map(|index| &bytes[index * row..(index + 1) * row]).copied().collect()
    }

    fn wrong(&self, message: String) -> Error {
        error::unsupported(self.file, format!("{}: {message}", self.name))
    }

    fn refused(&self, error: gradloom_tensor::Error) -> Error {
        error::tensor(self.file, self.name, error)
    }
}

/// The matrix as which so many bytes of blocks are held.
fn folded(format: BlockFormat, shape: &[usize], bytes: usize) -> [usize; 2] {
    match *shape {
        [rows, columns] => [rows, columns],
        // As many rows as can be, because rows are filled up to whole groups.
        _ => [bytes / format.bytes(), format.elements()],
    }
}

#[track_caller]
fn reshaped(matrix: Tensor, shape: &[usize]) -> Tensor {
    if matrix.shape()[..] == *shape { matrix } else { matrix.reshape(shape) }
}
