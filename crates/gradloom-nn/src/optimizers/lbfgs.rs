//! [`Lbfgs`]: quasi-Newton steps for small models and whole batches.

use crate::optimizers::line_search::{Line, Point, search};
use crate::{Module, ModuleExt, Parameter, Path, Result, gradients};
use gradloom_tensor::{Tensor, eval};

/// Curvature below which a pair of steps and changes of the gradient is not kept.
const CURVATURE_MIN: f64 = 1e-10;

/// Newton's method with curvature from the last steps: the loss of a whole batch is computed several times in
/// a step, so it is a function. For small models, fits and pictures, not for samples of a data set.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_nn::optimizers::Lbfgs;
/// use gradloom_tensor::{Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// # let x = Tensor::normal(Key::new(1), [8, 3], 0.0, 1.0, &device);
/// # let y = x.sum(1).unsqueeze(1) * 2.0;
/// let mut model = Linear::new(3, 1, &mut Init::new(Key::new(0), &device));
/// let mut optimizer = Lbfgs::new(1.0).line_search(true);
/// let loss = |model: &Linear| model.forward(&x, &mut Context::eval()).mse_loss(&y);
/// optimizer.step(&mut model, loss)?;
/// assert!(loss(&model).item()? < 1e-6);
/// # Ok(())
/// # }
/// ```
///
/// What it remembers is not saved: it begins anew, and soon knows the curvature again.
///
/// PyTorch: `torch.optim.LBFGS`. Liu, Nocedal, "On the limited memory BFGS method for large scale
/// optimization", 1989.
#[derive(Clone, Debug)]
pub struct Lbfgs {
    learning_rate: f64,
    iterations: usize,
    evaluations: usize,
    tolerances: [f64; 2],
    history: usize,
    line_search: bool,
    memory: Option<Memory>,
}

/// What is known after a step.
#[derive(Clone, Debug)]
struct Memory {
    /// The direction gone last, and how far along it.
    direction: Tensor,
    length: f64,
    /// The gradient before that.
    gradient: Tensor,
    /// Steps, changes of the gradient, and one over their product.
    pairs: Vec<[Tensor; 3]>,
    /// The curvature along the last pair, as a factor.
    scale: Tensor,
}

impl Lbfgs {
    /// Twenty iterations a step, with 25 evaluations at most, of the last 100 steps, without a line search;
    /// it ends early where no gradient is above 1e-7 or no step or change of the loss above 1e-9.
    pub fn new(learning_rate: f64) -> Self {
        Lbfgs {
            learning_rate,
            iterations: 20,
            evaluations: 25,
            tolerances: [1e-7, 1e-9],
            history: 100,
            line_search: false,
            memory: None,
        }
    }

    /// Sets the iterations of a step; evaluations may be a quarter more.
    #[must_use]
    pub fn iterations(mut self, iterations: usize) -> Self {
        (self.iterations, self.evaluations) = (iterations, iterations * 5 / 4);
        self
    }

    /// Sets how many steps are remembered, one at least.
    #[must_use]
    pub fn history(mut self, history: usize) -> Self {
        self.history = history.max(1);
        self
    }

    /// Looks along each direction for a point that satisfies the strong Wolfe conditions (Nocedal, Wright,
    /// "Numerical optimization", 2006, chapter 3). Without it steps are as long as the learning rate says.
    #[must_use]
    pub fn line_search(mut self, line_search: bool) -> Self {
        self.line_search = line_search;
        self
    }

    /// Sets the gradient, and the step or change of the loss, below which a step ends.
    #[must_use]
    pub fn tolerances(mut self, tolerances: [f64; 2]) -> Self {
        self.tolerances = tolerances;
        self
    }

    /// Goes some way towards the least loss, and gives the loss before. The trainable weights have their new
    /// values then.
    ///
    /// # Errors
    /// If an evaluation fails; the weights may be anywhere along the way.
    ///
    /// # Panics
    /// If no weight is trainable, or they are of several dtypes.
    #[track_caller]
    pub fn step<M: Module>(
        &mut self,
        model: &mut M,
        mut loss: impl FnMut(&M) -> Tensor,
    ) -> Result<f64> {
        let start = weights(model);
        let mut evaluate = |at: &Tensor| -> Result<Point> {
            set_weights(model, at);
            let loss = loss(model);
            let gradient = flat(gradients(&loss, model).iter().map(|(_, gradient)| gradient));
            eval([&loss, &gradient])?;
            Ok(Point { length: 0.0, loss: loss.item()?, gradient, slope: 0.0 })
        };
        let first = evaluate(&start)?;
        let loss = first.loss;
        let end = self.descend(start, first, &mut evaluate)?;
        set_weights(model, &end);
        Ok(loss)
    }

    /// Iterations from weights and their loss on; gives the weights at the end.
    fn descend(
        &mut self,
        mut at: Tensor,
        mut here: Point,
        evaluate: &mut dyn FnMut(&Tensor) -> Result<Point>,
    ) -> Result<Tensor> {
        let [gradient_least, change_least] = self.tolerances;
        let mut evaluations = 1;
        let mut iteration = 0;
        while iteration < self.iterations && largest(&here.gradient)? > gradient_least {
            iteration += 1;
            let first = self.memory.is_none();
            let direction = self.direction(&here.gradient)?;
            let mut length = self.learning_rate;
            if first {
                length *= (1.0 / here.gradient.abs().sum(..).item()?).min(1.0);
            }
            here.slope = (&here.gradient * &direction).sum(..).item()?;
            here.length = 0.0;
            let (gradient, before) = (here.gradient.clone(), here.loss);
            if here.slope <= -change_least {
                let mut line = Line { at: &at, direction: &direction, evaluate, count: 0 };
                here = if self.line_search {
                    search(&mut line, here, length, change_least)?
                } else if iteration < self.iterations {
                    line.point(length)?
                } else {
                    // Nobody asks for the last point's loss.
                    Point { length, ..here }
                };
                evaluations += line.count;
                length = here.length;
                at = &at + &direction * length;
                at.eval()?;
            } else {
                iteration = self.iterations;
                length = 0.0;
            }
            let step = largest(&direction)? * length;
            self.remember(direction, length, gradient);
            let still = step <= change_least || (here.loss - before).abs() < change_least;
            if evaluations >= self.evaluations || still {
                break;
            }
        }
        Ok(at)
    }

    /// Where to go against a gradient, with the curvature that is remembered.
    fn direction(&mut self, gradient: &Tensor) -> Result<Tensor> {
        let Some(memory) = &mut self.memory else {
            return Ok(-gradient);
        };
        memory.learn(gradient, self.history)?;
        let direction = memory.against(gradient);
        direction.eval()?;
        Ok(direction)
    }

    fn remember(&mut self, direction: Tensor, length: f64, gradient: Tensor) {
        let (pairs, scale) = match self.memory.take() {
            Some(memory) => (memory.pairs, memory.scale),
            None => (Vec::new(), Tensor::scalar(1.0, gradient.dtype(), gradient.device())),
        };
        self.memory = Some(Memory { direction, length, gradient, pairs, scale });
    }
}

impl Memory {
    /// Takes in what the last step has shown, at its end.
    fn learn(&mut self, gradient: &Tensor, history: usize) -> Result<()> {
        let change = gradient - &self.gradient;
        let step = &self.direction * self.length;
        let product = (&change * &step).sum(..);
        if product.item()? <= CURVATURE_MIN {
            return Ok(());
        }
        if self.pairs.len() == history {
            self.pairs.remove(0);
        }
        self.scale = &product / change.square().sum(..);
        let inverse = product.reciprocal();
        eval([&step, &change, &inverse, &self.scale])?;
        self.pairs.push([step, change, inverse]);
        Ok(())
    }

    /// Minus the inverse of the curvature times a gradient: the recursion of two loops.
    fn against(&self, gradient: &Tensor) -> Tensor {
        let dot = |a: &Tensor, b: &Tensor| (a * b).sum(..);
        let mut direction = -gradient;
        let mut shares = Vec::with_capacity(self.pairs.len());
        for [step, change, inverse] in self.pairs.iter().rev() {
            let share = dot(step, &direction) * inverse;
            direction = direction - change * &share;
            shares.push(share);
        }
        direction = direction * &self.scale;
        for ([step, change, inverse], share) in self.pairs.iter().zip(shares.iter().rev()) {
            let other = dot(change, &direction) * inverse;
            direction = direction + step * (share - other);
        }
        direction
    }
}

fn largest(x: &Tensor) -> Result<f64> {
    x.abs().max(..).item()
}

/// Tensors one after another.
#[track_caller]
fn flat<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Tensor {
    let parts: Vec<Tensor> = tensors.map(|tensor| tensor.reshape([tensor.count()])).collect();
    assert!(!parts.is_empty(), "lbfgs: the model has no trainable weight");
    Tensor::concat(&parts, 0).detach()
}

/// The trainable weights one after another.
#[track_caller]
fn weights(model: &impl Module) -> Tensor {
    flat(model.trainable().into_iter().map(|(_, parameter)| parameter.tensor()))
}

#[track_caller]
fn set_weights(model: &mut impl Module, values: &Tensor) {
    let mut first = 0;
    model.visit_mut(&mut Path::root(), &mut |_, parameter: &mut Parameter| {
        if parameter.is_trainable() {
            let part = values.narrow(0, first, parameter.count());
            parameter.set(&part.reshape(*parameter.shape()));
            first += parameter.count();
        }
    });
}
