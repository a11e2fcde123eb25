//! Asking for values: [`eval`], [`commit`] and the methods that copy elements to the host. Each has a form
//! that blocks and one that is awaited.

use std::borrow::Cow;

use crate::backend::Retention;
use crate::transfer;
use crate::{BoxFuture, Buffer, DType, Element, Error, Result, Tensor, Tensors};

/// Computes several tensors in one evaluation, which shares work between them.
///
/// # Errors
/// What the backend reports: out of memory, device lost, an index out of range.
#[track_caller]
pub fn eval<'a>(roots: impl IntoIterator<Item = &'a Tensor>) -> Result<()> {
    let roots: Vec<Tensor> = roots.into_iter().cloned().collect();
    evaluate(&roots, Retention::Keep)
}

/// As [`eval`], without blocking: ready as soon as the work is submitted and its checks are known.
///
/// # Errors
/// As [`eval`].
#[track_caller]
pub fn eval_async<'a>(
    roots: impl IntoIterator<Item = &'a Tensor>,
) -> BoxFuture<'static, Result<()>> {
    let roots: Vec<Tensor> = roots.into_iter().cloned().collect();
    Box::pin(async move { evaluate_async(roots, Retention::Keep).await })
}

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
#[track_caller]
pub fn commit(mut tensors: impl Tensors) -> Result<()> {
    let roots = roots_of(&mut tensors);
    evaluate_owned(roots, Retention::Release)?;
    cut(&mut tensors);
    Ok(())
}

/// As [`commit`], without blocking. If it is dropped before it is ready, the tensors keep their histories.
///
/// # Errors
/// As [`commit`].
#[track_caller]
pub fn commit_async<'a>(mut tensors: impl Tensors + Send + 'a) -> BoxFuture<'a, Result<()>> {
    let roots = roots_of(&mut tensors);
    Box::pin(async move {
        evaluate_async(roots, Retention::Release).await?;
        cut(&mut tensors);
        Ok(())
    })
}

/// What a commit has to compute.
fn roots_of(tensors: &mut impl Tensors) -> Vec<Tensor> {
    let mut roots: Vec<Tensor> = Vec::new();
    tensors.for_each_tensor(&mut |tensor| {
        if tensor.value().is_none() && !tensor.is_quantized() {
            roots.push(tensor.clone());
        }
    });
    roots
}

fn cut(tensors: &mut impl Tensors) {
    tensors.for_each_tensor(&mut |tensor| {
        let tracked = tensor.is_tracked();
        if !matches!(tensor.op(), crate::Op::Buffer) {
            tensor.cut(tracked);
        }
    });
}

fn evaluate(roots: &[Tensor], retention: Retention) -> Result<()> {
    let roots = computed(roots);
    if transfer::spans_devices(&roots) {
        return evaluate_owned(roots.into_owned(), retention);
    }
    match roots.iter().find(|root| root.value().is_none()) {
        Some(first) => first.device().backend().evaluate(&roots, retention),
        None => Ok(()),
    }
}

/// As [`evaluate`], with no more handles on the roots than these.
fn evaluate_owned(mut roots: Vec<Tensor>, retention: Retention) -> Result<()> {
    if !transfer::spans_devices(&roots) {
        return evaluate(&roots, retention);
    }
    loop {
        let works = transfer::next_work(&mut roots, retention);
        if works.is_empty() {
            return Ok(());
        }
        transfer::run_all(&works)?;
    }
}

/// As [`evaluate_owned`], without blocking.
async fn evaluate_async(mut roots: Vec<Tensor>, retention: Retention) -> Result<()> {
    roots.retain(|root| !root.is_quantized());
    if !transfer::spans_devices(&roots) {
        return match roots.iter().find(|root| root.value().is_none()) {
            Some(first) => first.device().backend().evaluate_async(&roots, retention).await,
            None => Ok(()),
        };
    }
    loop {
        let works = transfer::next_work(&mut roots, retention);
        if works.is_empty() {
            return Ok(());
        }
        for work in &works {
            work.run_async().await?;
        }
    }
}

/// Without matrices in blocks, which are values already: their numbers are never stored.
fn computed(roots: &[Tensor]) -> Cow<'_, [Tensor]> {
    match roots.iter().any(Tensor::is_quantized) {
        true => roots.iter().filter(|root| !root.is_quantized()).cloned().collect(),
        false => roots.into(),
    }
}

impl Tensor {
    /// Computes this tensor and stores its elements in the node.
    ///
    /// # Errors
    /// As [`eval`].
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([1.0f32, 2.0], &device)?;
    /// let (sum, largest) = (x.sum(..), x.max(..));
    /// sum.eval()?; // now, alone
    /// gradloom_tensor::eval([&sum, &largest])?; // several in one plan
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn eval(&self) -> Result<()> {
        evaluate(std::slice::from_ref(self), Retention::Keep)
    }

    /// As [`Tensor::eval`], without blocking.
    ///
    /// # Errors
    /// As [`eval`].
    pub fn eval_async(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(evaluate_async(vec![self.clone()], Retention::Keep))
    }

    /// All elements in row-major order.
    ///
    /// # Errors
    /// As [`eval`], and if `T` is not this tensor's dtype.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1, 2], [3, 4]], &device)?;
    /// assert_eq!(x.t().to_vec::<i32>()?, [1, 3, 2, 4]); // row-major
    /// assert!(x.to_vec::<f32>().is_err()); // of another dtype
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.check_elements::<T>()?;
        Ok(T::from_bytes(&self.to_bytes()?))
    }

    /// As [`Tensor::to_vec`], without blocking: `let loss = loss.to_vec_async::<f32>().await?`.
    ///
    /// # Errors
    /// As [`Tensor::to_vec`].
    pub fn to_vec_async<T: Element>(&self) -> BoxFuture<'_, Result<Vec<T>>> {
        Box::pin(async move {
            self.check_elements::<T>()?;
            Ok(T::from_bytes(&self.to_bytes_async().await?))
        })
    }

    fn check_elements<T: Element>(&self) -> Result<()> {
        if self.dtype() == T::DTYPE {
            return Ok(());
        }
        Err(Error::shape(format!(
            "to_vec: the tensor is {}, not {}; convert it with `cast` first",
            self.dtype(),
            T::DTYPE
        )))
    }

    /// All elements as bytes in host order.
    ///
    /// # Errors
    /// As [`eval`].
    #[track_caller]
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let tensor = self.with_numbers();
        tensor.eval()?;
        let bytes = tensor.device().backend().download(tensor.computed()?);
        bytes.map_err(|error| tensor.error(error))
    }

    /// As [`Tensor::to_bytes`], without blocking.
    ///
    /// # Errors
    /// As [`eval`].
    pub fn to_bytes_async(&self) -> BoxFuture<'_, Result<Vec<u8>>> {
        Box::pin(async move {
            let tensor = self.with_numbers();
            tensor.eval_async().await?;
            let bytes = tensor.device().backend().download_async(tensor.computed()?).await;
            bytes.map_err(|error| tensor.error(error))
        })
    }

    /// This tensor, or one that has the numbers of a matrix in blocks.
    #[track_caller]
    fn with_numbers(&self) -> Cow<'_, Tensor> {
        match self.is_quantized() {
            true => Cow::Owned(self.clone().reshape([self.count()])),
            false => Cow::Borrowed(self),
        }
    }

    /// The value after an evaluation.
    fn computed(&self) -> Result<&Buffer> {
        self.value().ok_or_else(|| {
            Error::backend(format!("eval: {} left a root without a value", self.device().name()))
        })
    }

    fn error(&self, error: Error) -> Error {
        error.of_op(self.op().name(), self.shape(), self.origin())
    }

    /// The only element, as a float: an i64 beyond 2^53 is rounded, [`Tensor::to_vec`] has it exactly.
    ///
    /// # Errors
    /// As [`eval`].
    ///
    /// # Panics
    /// If there is not exactly one element.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([1.0f32, 2.0], &device)?;
    /// assert_eq!(x.sum(..).item()?, 3.0); // computes what is needed for it
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn item(&self) -> Result<f64> {
        self.check_single();
        Ok(first_number(self.dtype(), &self.to_bytes()?))
    }

    /// As [`Tensor::item`], without blocking.
    ///
    /// # Errors
    /// As [`eval`].
    ///
    /// # Panics
    /// If there is not exactly one element.
    #[track_caller]
    pub fn item_async(&self) -> BoxFuture<'_, Result<f64>> {
        self.check_single();
        Box::pin(async move { Ok(first_number(self.dtype(), &self.to_bytes_async().await?)) })
    }

    #[track_caller]
    fn check_single(&self) {
        assert_eq!(self.count(), 1, "item: the tensor has shape {}, not one element", self.shape());
    }
}

fn first_number(dtype: DType, bytes: &[u8]) -> f64 {
    match dtype {
        DType::F32 => f64::from(f32::from_bytes(bytes)[0]),
        DType::F64 => f64::from_bytes(bytes)[0],
        DType::F16 => half::f16::from_bytes(bytes)[0].to_f64(),
        DType::BF16 => half::bf16::from_bytes(bytes)[0].to_f64(),
        DType::I32 => f64::from(i32::from_bytes(bytes)[0]),
        DType::I64 => i64::from_bytes(bytes)[0] as f64,
        DType::I8 => f64::from(i8::from_bytes(bytes)[0]),
        DType::U32 => f64::from(u32::from_bytes(bytes)[0]),
        DType::U8 | DType::Bool => f64::from(bytes[0]),
    }
}
