//! [`Complex`]: complex numbers as pairs of real ones.

use std::ops::{Add, Mul, Neg, Sub};

use gradloom_tensor::{DType, Shape, Tensor, Tensors};

/// Complex numbers: a real tensor `[.., 2]` whose last axis holds real and imaginary part, as
/// `torch.view_as_real` gives. Its shape and axes are those before the last.
///
/// Gradients are those of the pairs: of a real loss `L`, `dL/dre + i dL/dim`, as PyTorch's.
#[derive(Clone, Debug)]
pub struct Complex(Tensor);

impl Complex {
    /// Numbers of these real and imaginary parts, which are broadcast.
    ///
    /// # Panics
    /// If the shapes do not broadcast, the dtypes differ, or there is no room for one axis more.
    #[track_caller]
    pub fn new(re: &Tensor, im: &Tensor) -> Complex {
        assert!(
            re.dtype() == im.dtype(),
            "complex: the real part is {}, the imaginary part {}; cast one",
            re.dtype(),
            im.dtype()
        );
        let zeros = |x: &Tensor| x.constant_like(0);
        // A sum with zeros broadcasts, and is nothing where the shapes are equal.
        let (re, im) = match re.shape() == im.shape() {
            true => (re.clone(), im.clone()),
            false => (re + zeros(im), im + zeros(re)),
        };
        Complex(Tensor::concat(&[&re.unsqueeze(-1), &im.unsqueeze(-1)], -1))
    }

    /// The numbers of pairs, as `torch.view_as_complex`.
    ///
    /// # Panics
    /// If the last axis is not of size 2, or the elements are no floats.
    #[track_caller]
    pub fn from_pairs(pairs: Tensor) -> Complex {
        assert!(
            pairs.shape().last() == Some(&2) && pairs.dtype().is_float(),
            "complex: pairs are floats [.., 2], not {} {}",
            pairs.dtype(),
            pairs.shape()
        );
        Complex(pairs)
    }

    /// Numbers of these magnitudes and angles in radians, as `torch.polar`.
    ///
    /// # Panics
    /// As [`Complex::new`].
    #[track_caller]
    pub fn polar(abs: &Tensor, angle: &Tensor) -> Complex {
        Complex::new(&(abs * angle.cos()), &(abs * angle.sin()))
    }

    /// The pairs `[.., 2]`, as `torch.view_as_real`.
    pub fn pairs(&self) -> &Tensor {
        &self.0
    }

    /// Sizes of the axes, without that of the pairs.
    pub fn shape(&self) -> Shape {
        Shape::new(&self.0.shape()[..self.rank()])
    }

    /// Number of axes, without that of the pairs.
    pub fn rank(&self) -> usize {
        self.0.rank() - 1
    }

    /// The type of the parts.
    pub fn dtype(&self) -> DType {
        self.0.dtype()
    }

    /// The real parts.
    #[track_caller]
    #[must_use]
    pub fn re(&self) -> Tensor {
        self.0.index(-1, 0)
    }

    /// The imaginary parts.
    #[track_caller]
    #[must_use]
    pub fn im(&self) -> Tensor {
        self.0.index(-1, 1)
    }

    /// The complex conjugates.
    #[track_caller]
    #[must_use]
    pub fn conj(&self) -> Complex {
        Complex::new(&self.re(), &self.im().neg())
    }

    /// The squares of the magnitudes, of the parts' shape.
    #[track_caller]
    #[must_use]
    pub fn norm_squared(&self) -> Tensor {
        self.0.square().sum(-1)
    }

    /// The magnitudes, of the parts' shape; the gradient of that of zero is zero.
    #[track_caller]
    #[must_use]
    pub fn abs(&self) -> Tensor {
        let squares = self.norm_squared();
        let zero = squares.eq(0);
        squares.masked_fill(&zero, 1).sqrt().masked_fill(&zero, 0)
    }

    /// Times real numbers, which are broadcast.
    #[track_caller]
    #[must_use]
    pub fn scale(&self, factor: &Tensor) -> Complex {
        Complex(&self.0 * factor.unsqueeze(-1))
    }
}

/// Numbers without imaginary part; integers become f32.
impl From<&Tensor> for Complex {
    #[track_caller]
    fn from(re: &Tensor) -> Complex {
        let re = float(re);
        Complex::new(&re, &re.constant_like(0))
    }
}

impl From<&Complex> for Complex {
    fn from(complex: &Complex) -> Complex {
        complex.clone()
    }
}

/// Floats as they are, other numbers as f32.
#[track_caller]
pub(crate) fn float(x: &Tensor) -> Tensor {
    if x.dtype().is_float() { x.clone() } else { x.cast(DType::F32) }
}

impl Tensors for Complex {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        visit(&mut self.0);
    }
}

impl Add for &Complex {
    type Output = Complex;

    #[track_caller]
    fn add(self, other: &Complex) -> Complex {
        Complex(&self.0 + &other.0)
    }
}

impl Sub for &Complex {
    type Output = Complex;

    #[track_caller]
    fn sub(self, other: &Complex) -> Complex {
        Complex(&self.0 - &other.0)
    }
}

impl Mul for &Complex {
    type Output = Complex;

    #[track_caller]
    fn mul(self, other: &Complex) -> Complex {
        let ((a, b), (c, d)) = ((self.re(), self.im()), (other.re(), other.im()));
        Complex::new(&(&a * &c - &b * &d), &(a * d + b * c))
    }
}

impl Neg for &Complex {
    type Output = Complex;

    #[track_caller]
    fn neg(self) -> Complex {
        Complex(-&self.0)
    }
}
