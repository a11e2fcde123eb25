//! [`Action`]: one call of the public interface, as something to run and as text, from one source.

use gradloom_tensor::{DType, Device, Tensor};

/// What a call is made with. Bodies of `call` name its fields.
pub struct Call<'a> {
    /// Tensors.
    pub x: &'a [&'a Tensor],
    /// Axes and other numbers that may be negative.
    pub n: &'a [isize],
    /// Sizes.
    pub s: &'a [usize],
    /// A number in an operator.
    pub f: f64,
    /// A dtype.
    pub d: DType,
    /// Where leaves are made.
    pub t: &'a Device,
}

/// A call and its text.
#[derive(Clone, Copy)]
pub struct Action {
    /// The call as it stands in `call`.
    pub text: &'static str,
    /// The call.
    pub run: fn(&Call<'_>) -> Tensor,
}

impl std::fmt::Debug for Action {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.text)
    }
}

/// `call!(c => c.x[0].reshape(c.s))`: the [`Action`] of an expression over a [`Call`].
macro_rules! call {
    ($call:ident => $body:expr) => {
        $crate::graphs::action::Action { text: stringify!($body), run: |$call| $body }
    };
}
pub(crate) use call;

/// The numbers of a call, apart from its tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// Axes and other numbers that may be negative.
    pub n: Vec<isize>,
    /// Sizes.
    pub s: Vec<usize>,
    /// A number in an operator.
    pub f: f64,
    /// A dtype.
    pub d: DType,
}

impl Numbers {
    /// None.
    pub fn none() -> Numbers {
        Numbers { n: Vec::new(), s: Vec::new(), f: 0.0, d: DType::F32 }
    }

    /// With axes.
    #[must_use]
    pub fn n(self, n: impl Into<Vec<isize>>) -> Numbers {
        Numbers { n: n.into(), ..self }
    }

    /// With sizes.
    #[must_use]
    pub fn s(self, s: impl Into<Vec<usize>>) -> Numbers {
        Numbers { s: s.into(), ..self }
    }

    /// With a number in an operator.
    #[must_use]
    pub fn f(self, f: f64) -> Numbers {
        Numbers { f, ..self }
    }

    /// With a dtype.
    #[must_use]
    pub fn d(self, d: DType) -> Numbers {
        Numbers { d, ..self }
    }
}
