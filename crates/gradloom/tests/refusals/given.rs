//! What ops are given here, and the rows of the tables.

use std::fmt;

use gradloom::nn::functional::Normalized;
use gradloom::{DType, Device, Masked, Result, Tensor, Unique};

/// Operands and numbers of one call.
pub(crate) struct Given {
    pub(crate) x: Tensor,
    /// Another operand: as the first, or of another shape, or of another dtype.
    pub(crate) y: Tensor,
    /// Zeros, i32, in the shape of the first.
    pub(crate) index: Tensor,
    /// Two zeros, i32.
    pub(crate) line: Tensor,
    /// All true, in the shape of the first.
    pub(crate) mask: Tensor,
    pub(crate) axis: isize,
    pub(crate) size: usize,
}

impl Given {
    /// Shapes by dtypes by numbers by other operands, and whether a call is an ordinary one.
    pub(crate) fn all(device: &Device) -> Vec<(Given, bool)> {
        const SHAPES: [&[usize]; 11] = [
            &[],
            &[0],
            &[3],
            &[0, 3],
            &[3, 0],
            &[3, 3],
            &[2, 3],
            &[1, 2, 3],
            &[1, 2, 4, 3],
            &[1, 1, 2, 3, 4],
            &[1; 8],
        ];
        const DTYPES: [DType; 5] = [DType::F32, DType::F16, DType::I32, DType::U8, DType::Bool];
        const NUMBERS: [(isize, usize); 9] = [
            (0, 2),
            (-1, 0),
            (-1, 1),
            (1, 3),
            (7, 3),
            (isize::MIN, usize::MAX),
            (isize::MAX, 1 << 31),
            (0, usize::MAX),
            (-1, usize::MAX / 2 + 1),
        ];
        let mut all = Vec::new();
        for shape in SHAPES {
            for dtype in DTYPES {
                let x = Tensor::zeros(shape, dtype, device);
                let others = [
                    x.clone(),
                    Tensor::ones([5], dtype, device),
                    Tensor::zeros([2, 0], DType::F32, device),
                    Tensor::ones((), DType::I64, device),
                ];
                for (number, (axis, size)) in NUMBERS.into_iter().enumerate() {
                    for (other, y) in others.iter().enumerate() {
                        let given = Given {
                            x: x.clone(),
                            y: y.clone(),
                            index: Tensor::zeros(shape, DType::I32, device),
                            line: Tensor::zeros([2], DType::I32, device),
                            mask: Tensor::ones(shape, DType::Bool, device),
                            axis,
                            size,
                        };
                        all.push((given, number < 3 && other == 0));
                    }
                }
            }
        }
        all
    }

    pub(crate) fn masked(&self) -> Masked {
        self.x.masked(&self.mask)
    }
}

impl fmt::Display for Given {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Given { x, y, axis, size, .. } = self;
        let (own, other) = ((x.dtype(), x.shape()), (y.dtype(), y.shape()));
        write!(formatter, "{} {}, {} {}, axis {axis}, size {size}", own.0, own.1, other.0, other.1)
    }
}

/// A call, and the name that is to stand in front of its messages.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The op that this one is another form of.
    pub(crate) also: &'static str,
    pub(crate) call: fn(&Given) -> Result<Vec<Tensor>>,
}

/// `name = call;`, or `name as "other" = call;` where messages name the op that it is a form of.
macro_rules! calls {
    ($given:ident; $($name:ident $(as $also:literal)? = $call:expr;)*) => {
        vec![$($crate::given::Row {
            name: stringify!($name),
            also: concat!("", $($also)?),
            call: |$given| $crate::given::Results::tensors($call),
        }),*]
    };
}

pub(crate) use calls;

/// What a call gives.
pub(crate) trait Results {
    fn tensors(self) -> Result<Vec<Tensor>>;
}

impl Results for Tensor {
    fn tensors(self) -> Result<Vec<Tensor>> {
        Ok(vec![self])
    }
}

impl Results for Vec<Tensor> {
    fn tensors(self) -> Result<Vec<Tensor>> {
        Ok(self)
    }
}

impl Results for (Tensor, Tensor) {
    fn tensors(self) -> Result<Vec<Tensor>> {
        Ok(vec![self.0, self.1])
    }
}

impl Results for (Tensor, Tensor, Tensor) {
    fn tensors(self) -> Result<Vec<Tensor>> {
        Ok(vec![self.0, self.1, self.2])
    }
}

impl Results for (Tensor, Vec<Tensor>) {
    fn tensors(self) -> Result<Vec<Tensor>> {
        Ok(std::iter::once(self.0).chain(self.1).collect())
    }
}

impl Results for Normalized {
    fn tensors(self) -> Result<Vec<Tensor>> {
        Ok(vec![self.output, self.mean, self.inverse_deviation])
    }
}

impl Results for Unique {
    fn tensors(self) -> Result<Vec<Tensor>> {
        Ok(vec![self.values, self.inverse, self.counts])
    }
}

impl Results for bool {
    fn tensors(self) -> Result<Vec<Tensor>> {
        Ok(Vec::new())
    }
}

impl Results for usize {
    fn tensors(self) -> Result<Vec<Tensor>> {
        Ok(Vec::new())
    }
}

impl<T: Results> Results for Result<T> {
    fn tensors(self) -> Result<Vec<Tensor>> {
        self?.tensors()
    }
}
