//! Tensors from host data, and their way to another device.

use std::borrow::Cow;

use crate::called::demand;
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
            demand!(shape == inner, "new: ragged rows: one has shape {inner}, another {shape}");
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
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1.0f32, 2.0], [3.0, 4.0]], &device)?; // nested arrays give shape and dtype
    /// assert_eq!((x.shape()[..].to_vec(), x.dtype()), (vec![2, 2], DType::F32));
    /// assert_eq!(Tensor::new([1, 2, 3], &device)?.dtype(), DType::I32);
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], [2, 2], &device)?;
    /// assert_eq!(x.index(0, 1).to_vec::<f32>()?, [3.0, 4.0]);
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::from_slice(&[1, 2, 3, 4, 5, 6], [2, 3], &device)?;
    /// assert_eq!(x.size(1), 3);
    /// # Ok(())
    /// # }
    /// ```
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
}

#[track_caller]
fn check_bytes(dtype: DType, bytes: &[u8], shape: &Shape) {
    let needed = shape.checked_count().and_then(|count| count.checked_mul(dtype.size()));
    demand!(
        needed == Some(bytes.len()),
        "from_bytes: {} elements of {dtype} ({} bytes) do not fill shape {shape}",
        bytes.len() / dtype.size(),
        bytes.len()
    );
}
