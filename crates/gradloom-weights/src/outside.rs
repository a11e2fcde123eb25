//! Tensors of mapped files that are not used as they lie there: their elements are converted, or their
//! rows put in another order, when they are read.

use std::borrow::Cow;
use std::sync::Arc;

use gradloom_tensor::outside::BytesSource;
use gradloom_tensor::{DType, Error, Result};

use crate::Stored;
use crate::convert::Plan;

/// Bytes of a file that are in memory while they are converted.
const RAW_BYTES: usize = 1 << 18;

/// Elements of a file as those of a dtype. The conversion cannot fail.
pub(crate) struct Converted {
    pub(crate) raw: Arc<dyn BytesSource>,
    pub(crate) stored: Stored,
    pub(crate) dtype: DType,
}

impl Converted {
    fn raw_size(&self) -> usize {
        self.stored.size().unwrap_or(1)
    }
}

impl BytesSource for Converted {
    fn byte_count(&self) -> usize {
        self.raw.byte_count() / self.raw_size() * self.dtype.size()
    }

    fn unit(&self) -> usize {
        self.raw.unit().max(self.raw_size()) / self.raw_size() * self.dtype.size()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let (from, to) = (self.raw_size(), self.dtype.size());
        let plan = Plan::between(&self.stored, self.dtype);
        let (unit, mut offset) = (self.unit(), offset / to * from);
        let mut raw = Vec::new();
        for bytes in bytes.chunks_mut((RAW_BYTES / unit).max(1) * unit) {
            raw.resize(bytes.len() / to * from, 0);
            self.raw.read(offset, &mut raw)?;
            let converted = plan.convert(Cow::Borrowed(&raw)).map_err(Error::backend)?;
            bytes.copy_from_slice(&converted);
            offset += raw.len();
        }
        Ok(())
    }
}

/// Rows of a tensor in another order.
pub(crate) struct Rows {
    pub(crate) rows: Arc<dyn BytesSource>,
    pub(crate) order: Vec<usize>,
    pub(crate) row_bytes: usize,
}

impl BytesSource for Rows {
    fn byte_count(&self) -> usize {
        self.order.len() * self.row_bytes
    }

    fn unit(&self) -> usize {
        self.row_bytes.max(1)
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let order = self.order.iter().skip(offset / self.unit());
        let mut rows = bytes.chunks_exact_mut(self.unit()).zip(order);
        rows.try_for_each(|(bytes, row)| self.rows.read(row * self.row_bytes, bytes))
    }
}
