//! [`Teacher`]: a large model whose answers a small one learns.

use gradloom_nn::{Context, Module, ModuleExt};
use gradloom_tensor::{Device, Tensor};

/// A model that is run as it is: frozen, with dropout off, its outputs without histories.
///
/// It may be on another device than the student: inputs are moved there and outputs back, as part of the graph.
///
/// ```
/// use gradloom_compress::distil::{Teacher, distillation_loss};
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer, Optimizer, Sgd, gradients};
/// use gradloom_tensor::{DType, Key, Tensor, commit};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let teacher = Teacher::new(Linear::new(4, 3, init));
/// let mut student = Linear::new(4, 3, init);
/// let mut optimizer = Sgd::new(1.0);
/// let x = Tensor::ones([2, 4], DType::F32, &device);
/// for _ in 0..100 {
///     let wanted = teacher.output(&x, |model, x, ctx| model.forward(x, ctx));
///     let logits = student.forward(&x, &mut Context::train(Key::new(0)));
///     let loss = distillation_loss(&logits, &wanted, 2.0);
///     optimizer.step(&gradients(&loss, &student), &mut student);
///     commit((&mut student, &mut optimizer))?;
/// #   if loss.item()? < 1e-3 { break; }
/// }
/// # let wanted = teacher.output(&x, |model, x, ctx| model.forward(x, ctx));
/// # let logits = student.forward(&x, &mut Context::eval());
/// # assert!(distillation_loss(&logits, &wanted, 2.0).item()? < 0.01);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Teacher<M> {
    model: M,
}

/// What a teacher says about a batch, on the student's device and without a history.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// What the model gave.
    pub output: Tensor,
    /// Its activations by their names, as [`Context::tap`] shows them.
    pub taps: Vec<(String, Tensor)>,
}

impl Lesson {
    /// The activation with this name, the last of several.
    pub fn tap(&self, name: &str) -> Option<&Tensor> {
        self.taps.iter().rev().find(|(own, _)| own == name).map(|(_, tensor)| tensor)
    }
}

impl<M: Module> Teacher<M> {
    /// Freezes a model.
    pub fn new(mut model: M) -> Self {
        model.freeze();
        Teacher { model }
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// What it makes of an input, which may be on another device.
    #[track_caller]
    pub fn output(
        &self,
        x: &Tensor,
        run: impl FnOnce(&M, &Tensor, &mut Context) -> Tensor,
    ) -> Tensor {
        let y = run(&self.model, &self.near(x), &mut Context::eval());
        back(&y, x.device())
    }

    /// As [`output`](Teacher::output), with its activations.
    #[track_caller]
    pub fn lesson(
        &self,
        x: &Tensor,
        run: impl FnOnce(&M, &Tensor, &mut Context) -> Tensor,
    ) -> Lesson {
        let mut ctx = Context::eval().with_taps();
        let y = run(&self.model, &self.near(x), &mut ctx);
        let taps = ctx.take_taps().into_iter().map(|(name, tap)| (name, back(&tap, x.device())));
        Lesson { output: back(&y, x.device()), taps: taps.collect() }
    }

    fn near(&self, x: &Tensor) -> Tensor {
        match self.model.parameters().first() {
            Some((_, parameter)) => x.to_device(parameter.device()),
            None => x.clone(),
        }
    }
}

fn back(tensor: &Tensor, device: &Device) -> Tensor {
    tensor.detach().to_device(device)
}
