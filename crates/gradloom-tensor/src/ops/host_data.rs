//! Tensors from host data, and their way to another device.

use std::borrow::Cow;

use crate::{BoxFuture, DType, Device, Element, Result, Shape, Tensor};

/// Nested arrays, slices and vectors of elements: what [`Tensor::new`] accepts.
pub trait Nested {
    /// The innermost type.
    type Element: Element;

    /// Sizes from the outside in, read off the first item at each level.
    fn shape(&self) -> Shape;

    /// Appends all elements in row-major order.
    fn flatten(&self, elements: &mut Vec<Self::Element>);
}

macro_rules! nested_elements {
    ($($element:ty),*) => {
        $(impl Nested for $element {
            type Element = $element;

            fn shape(&self) -> Shape {
                Shape::SCALAR
            }

            fn flatten(&self, elements: &mut Vec<$element>) {
                elements.push(*self);
            }
        })*
    };
}

nested_elements!(f32, f64, crate::f16, crate::bf16, i8, i32, i64, u8, u32, bool);

impl<T: Nested> Nested for [T] {
    type Element = T::Element;

    fn shape(&self) -> Shape {
        let inner = self.first().map_or(Shape::SCALAR, Nested::shape);
        for item in self {
            let shape = item.shape();
            assert!(shape == inner, "new: ragged rows: one has shape {inner}, another {shape}");
        }
        std::iter::once(self.len()).chain(inner.iter().copied()).collect()
    }

    fn flatten(&self, elements: &mut Vec<T::Element>) {
        self.iter().for_each(|item| item.flatten(elements));
    }
}

impl<T: Nested, const N: usize> Nested for [T; N] {
    type Element = T::Element;

    fn shape(&self) -> Shape {
        self.as_slice().shape()
    }

    fn flatten(&self, elements: &mut Vec<T::Element>) {
        self.as_slice().flatten(elements);
    }
}

impl<T: Nested> Nested for Vec<T> {
    type Element = T::Element;

    fn shape(&self) -> Shape {
        self.as_slice().shape()
    }

    fn flatten(&self, elements: &mut Vec<T::Element>) {
        self.as_slice().flatten(elements);
    }
}

impl<T: Nested + ?Sized> Nested for &T {
    type Element = T::Element;

    fn shape(&self) -> Shape {
        (**self).shape()
    }

    fn flatten(&self, elements: &mut Vec<T::Element>) {
        (**self).flatten(elements);
    }
}

impl Tensor {
    /// A tensor of nested arrays: `Tensor::new([[1f32, 2.0], [3.0, 4.0]], &device)`. PyTorch: `tensor`.
    ///
    /// # Errors
    /// When the device cannot take the elements.
    ///
    /// # Panics
    /// If rows have different lengths.
    #[track_caller]
    pub fn new(values: impl Nested, device: &Device) -> Result<Tensor> {
        let shape = values.shape();
        let mut elements = Vec::with_capacity(shape.count());
        values.flatten(&mut elements);
        Tensor::from_slice(&elements, shape, device)
    }

    /// A tensor of elements in row-major order.
    ///
    /// # Errors
    /// When the device cannot take the elements.
    ///
    /// # Panics
    /// If the number of elements is not the shape's.
    #[track_caller]
    pub fn from_vec<T: Element>(
        elements: Vec<T>,
        shape: impl Into<Shape>,
        device: &Device,
    ) -> Result<Tensor> {
        Tensor::from_slice(&elements, shape, device)
    }

    /// A tensor of elements in row-major order.
    ///
    /// # Errors
    /// When the device cannot take the elements.
    ///
    /// # Panics
    /// If the number of elements is not the shape's.
    #[track_caller]
    pub fn from_slice<T: Element>(
        elements: &[T],
        shape: impl Into<Shape>,
        device: &Device,
    ) -> Result<Tensor> {
        Tensor::from_bytes(T::DTYPE, &T::to_bytes(elements), shape, device)
    }

    /// A tensor of elements as bytes in host order, packed as [`DType::size`] says.
    ///
    /// # Errors
    /// When the device cannot take the elements.
    ///
    /// # Panics
    /// If the number of bytes is not what shape and dtype need.
    #[track_caller]
    pub fn from_bytes(
        dtype: DType,
        bytes: &[u8],
        shape: impl Into<Shape>,
        device: &Device,
    ) -> Result<Tensor> {
        let shape = shape.into();
        check_bytes(dtype, bytes, &shape);
        let buffer = device.backend().upload(dtype, bytes)?;
        Ok(Tensor::from_buffer(buffer, shape, device))
    }

    /// As [`Tensor::from_slice`], for much data on a thread that must not block: waits while the device has
    /// many uploads to do, and its error is that of this upload. `from_slice` never waits: the device may
    /// then hold copies of all that was uploaded, and a browser reports that memory ran out at the next
    /// evaluation.
    ///
    /// # Errors
    /// When the device cannot take the elements.
    ///
    /// # Panics
    /// If the number of elements is not the shape's.
    #[track_caller]
    pub fn from_slice_async<'a, T: Element>(
        elements: &'a [T],
        shape: impl Into<Shape>,
        device: &'a Device,
    ) -> BoxFuture<'a, Result<Tensor>> {
        let shape = shape.into();
        match T::to_bytes(elements) {
            Cow::Borrowed(bytes) => Tensor::from_bytes_async(T::DTYPE, bytes, shape, device),
            Cow::Owned(bytes) => {
                check_bytes(T::DTYPE, &bytes, &shape);
                Box::pin(
                    async move { Tensor::from_bytes_async(T::DTYPE, &bytes, shape, device).await },
                )
            }
        }
    }

    /// As [`Tensor::from_bytes`], with the waits of [`Tensor::from_slice_async`].
    ///
    /// # Errors
    /// When the device cannot take the elements.
    ///
    /// # Panics
    /// If the number of bytes is not what shape and dtype need.
    #[track_caller]
    pub fn from_bytes_async<'a>(
        dtype: DType,
        bytes: &'a [u8],
        shape: impl Into<Shape>,
        device: &'a Device,
    ) -> BoxFuture<'a, Result<Tensor>> {
        let shape = shape.into();
        check_bytes(dtype, bytes, &shape);
        Box::pin(async move {
            let buffer = device.backend().upload_async(dtype, bytes).await?;
            Ok(Tensor::from_buffer(buffer, shape, device))
        })
    }

    /// This tensor's elements on another device, copied through the host; a tracked leaf stays tracked.
    /// The same device gives the same tensor. PyTorch: `to(device)`, which can be differentiated.
    ///
    /// # Errors
    /// When the evaluation, the download or the upload fails.
    ///
    /// # Panics
    /// If the tensor has a history that leads to tracked weights: no gradient passes from one device to
    /// another yet, and to lose it without a word would be worse. [`Tensor::detach`] says that none is
    /// needed; [`commit`](crate::commit) makes leaves of weights.
    #[track_caller]
    pub fn to_device(&self, device: &Device) -> Result<Tensor> {
        if self.device() == device {
            return Ok(self.clone());
        }
        self.check_movable();
        let copy = Tensor::from_bytes(self.dtype(), &self.to_bytes()?, *self.shape(), device)?;
        Ok(if self.is_tracked() { copy.tracked() } else { copy })
    }

    /// As [`Tensor::to_device`], without blocking.
    ///
    /// # Errors
    /// As [`Tensor::to_device`].
    ///
    /// # Panics
    /// As [`Tensor::to_device`].
    #[track_caller]
    pub fn to_device_async<'a>(&'a self, device: &'a Device) -> BoxFuture<'a, Result<Tensor>> {
        if self.device() == device {
            return Box::pin(std::future::ready(Ok(self.clone())));
        }
        self.check_movable();
        Box::pin(async move {
            let bytes = self.to_bytes_async().await?;
            let copy =
                Tensor::from_bytes_async(self.dtype(), &bytes, *self.shape(), device).await?;
            Ok(if self.is_tracked() { copy.tracked() } else { copy })
        })
    }

    #[track_caller]
    fn check_movable(&self) {
        let leaf = self.inputs().is_empty();
        assert!(
            leaf || !self.is_tracked(),
            "to_device: the result of {} (made at {}) has a history with tracked weights, and gradients \
             do not pass between devices; detach it, or commit weights before they are moved",
            self.op().name(),
            self.location()
        );
    }
}

#[track_caller]
fn check_bytes(dtype: DType, bytes: &[u8], shape: &Shape) {
    let needed = shape.checked_count().and_then(|count| count.checked_mul(dtype.size()));
    assert!(
        needed == Some(bytes.len()),
        "from_bytes: {} elements of {dtype} ({} bytes) do not fill shape {shape}",
        bytes.len() / dtype.size(),
        bytes.len()
    );
}
