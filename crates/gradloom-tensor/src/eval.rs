//! Asking for values: [`eval`], [`commit`] and the methods that copy elements to the host.

use crate::backend::Retention;
use crate::{DType, Element, Error, Result, Tensor};

/// Computes several tensors in one evaluation, which shares work between them.
///
/// # Errors
/// What the backend reports: out of memory, device lost, an index out of range.
///
/// # Panics
/// If the tensors are on different devices.
#[track_caller]
pub fn eval<'a>(roots: impl IntoIterator<Item = &'a Tensor>) -> Result<()> {
    let roots: Vec<Tensor> = roots.into_iter().cloned().collect();
    evaluate(&roots, Retention::Keep)
}

/// Something that holds tensors: a tensor, a collection, a model, an optimizer.
pub trait Tensors {
    /// Calls `visit` on every tensor, always in the same order.
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor));
}

impl Tensors for Tensor {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        visit(self);
    }
}

impl<T: Tensors + ?Sized> Tensors for &mut T {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        (**self).for_each_tensor(visit);
    }
}

impl<T: Tensors> Tensors for Vec<T> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.iter_mut().for_each(|item| item.for_each_tensor(visit));
    }
}

impl<T: Tensors> Tensors for [T] {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.iter_mut().for_each(|item| item.for_each_tensor(visit));
    }
}

impl<T: Tensors, const N: usize> Tensors for [T; N] {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.as_mut_slice().for_each_tensor(visit);
    }
}

impl<T: Tensors> Tensors for Option<T> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.iter_mut().for_each(|item| item.for_each_tensor(visit));
    }
}

impl Tensors for () {
    fn for_each_tensor(&mut self, _: &mut dyn FnMut(&mut Tensor)) {}
}

macro_rules! tensors_of_tuple {
    ($($name:ident),+) => {
        impl<$($name: Tensors),+> Tensors for ($($name,)+) {
            fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
                #[expect(non_snake_case, reason = "the type's letter names its field")]
                let ($($name,)+) = self;
                $($name.for_each_tensor(visit);)+
            }
        }
    };
}

tensors_of_tuple!(A);
tensors_of_tuple!(A, B);
tensors_of_tuple!(A, B, C);
tensors_of_tuple!(A, B, C, D);
tensors_of_tuple!(A, B, C, D, E);

/// Computes all tensors in one evaluation and cuts their histories: the end of a training step.
///
/// Each handle becomes a leaf. Weights and optimizer state whose old value nobody else holds are
/// updated in the memory they had. Quantised weights stay quantised.
///
/// ```ignore
/// let loss = model.forward(&x, &mut ctx).cross_entropy(&y);
/// optimizer.step(&gradients(&loss, &model), &mut model);
/// commit((&mut model, &mut optimizer))?;
/// println!("{}", loss.item()?);
/// ```
///
/// A loss whose gradient takes part and that somebody still holds gets its value in the same evaluation.
/// It keeps its history, from which no further gradient can be taken where weights were updated in their
/// memory; a loss that is to be kept over many steps is committed too, or detached. Whatever else is
/// made of the same activations, such as a count of hits, is computed with them if it is committed with
/// them, and from the start if its value is asked for later.
///
/// # Errors
/// As [`eval`]; the tensors then keep their histories.
pub fn commit(mut tensors: impl Tensors) -> Result<()> {
    let mut roots: Vec<Tensor> = Vec::new();
    tensors.for_each_tensor(&mut |tensor| {
        if tensor.value().is_none() && !tensor.is_quantized() {
            roots.push(tensor.clone());
        }
    });
    evaluate(&roots, Retention::Release)?;
    drop(roots);
    tensors.for_each_tensor(&mut |tensor| {
        let tracked = tensor.is_tracked();
        if !matches!(tensor.op(), crate::Op::Buffer) {
            tensor.cut(tracked);
        }
    });
    Ok(())
}

#[track_caller]
fn evaluate(roots: &[Tensor], retention: Retention) -> Result<()> {
    // Matrices in blocks are values already: their numbers are never stored.
    let kept: Vec<Tensor>;
    let roots = match roots.iter().any(Tensor::is_quantized) {
        true => {
            kept = roots.iter().filter(|root| !root.is_quantized()).cloned().collect();
            &kept
        }
        false => roots,
    };
    let Some(first) = roots.iter().find(|root| root.value().is_none()) else {
        return Ok(());
    };
    let device = first.device();
    for root in roots {
        assert!(
            root.device() == device,
            "eval: tensors are on different devices: {} and {}",
            device.name(),
            root.device().name()
        );
    }
    device.backend().evaluate(roots, retention)
}

impl Tensor {
    /// Computes this tensor and stores its elements in the node.
    ///
    /// # Errors
    /// As [`eval`].
    #[track_caller]
    pub fn eval(&self) -> Result<()> {
        evaluate(std::slice::from_ref(self), Retention::Keep)
    }

    /// All elements in row-major order.
    ///
    /// # Errors
    /// As [`eval`], and if `T` is not this tensor's dtype.
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if self.dtype() != T::DTYPE {
            return Err(Error::shape(format!(
                "to_vec: the tensor is {}, not {}; convert it with `cast` first",
                self.dtype(),
                T::DTYPE
            )));
        }
        Ok(T::from_bytes(&self.to_bytes()?))
    }

    /// All elements as bytes in host order.
    ///
    /// # Errors
    /// As [`eval`].
    #[track_caller]
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        if self.is_quantized() {
            return self.clone().reshape([self.count()]).to_bytes();
        }
        self.eval()?;
        let value = self.value().ok_or_else(|| {
            Error::backend(format!("eval: {} left a root without a value", self.device().name()))
        })?;
        let bytes = self.device().backend().download(value);
        bytes.map_err(|error| error.of_op(self.op().name(), self.shape(), self.origin()))
    }

    /// The only element, as a float: an i64 beyond 2^53 is rounded, [`Tensor::to_vec`] has it exactly.
    ///
    /// # Errors
    /// As [`eval`].
    ///
    /// # Panics
    /// If there is not exactly one element.
    #[track_caller]
    pub fn item(&self) -> Result<f64> {
        assert_eq!(self.count(), 1, "item: the tensor has shape {}, not one element", self.shape());
        let bytes = self.to_bytes()?;
        Ok(match self.dtype() {
            DType::F32 => f64::from(f32::from_bytes(&bytes)[0]),
            DType::F64 => f64::from_bytes(&bytes)[0],
            DType::F16 => half::f16::from_bytes(&bytes)[0].to_f64(),
            DType::BF16 => half::bf16::from_bytes(&bytes)[0].to_f64(),
            DType::I32 => f64::from(i32::from_bytes(&bytes)[0]),
            DType::I64 => i64::from_bytes(&bytes)[0] as f64,
            DType::I8 => f64::from(i8::from_bytes(&bytes)[0]),
            DType::U32 => f64::from(u32::from_bytes(&bytes)[0]),
            DType::U8 | DType::Bool => f64::from(bytes[0]),
        })
    }
}
