//! [`Lbfgs`]: quasi-Newton steps for small models and whole batches.

use crate::optimizers::line_search::{Line, Point, search};
use crate::{Module, ModuleExt, Parameter, Path, Result, StateDict, error, gradients};
use gradloom_tensor::{DType, Tensor, eval};

/// Curvature below which a pair of steps and changes of the gradient is not kept.
const CURVATURE_MIN: f64 = 1e-10;

/// The entry of a state that says of which optimizer it is, as those of the others do.
const KIND: &str = "optimizer:Lbfgs";
/// The names of a pair's parts.
const PAIR: [&str; 3] = ["step", "change", "inverse"];
/// Entries beside the pairs: the kind, the direction and its length, the gradient, the scale.
const BESIDE_PAIRS: usize = 5;

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
/// [`state_dict`](Lbfgs::state_dict) saves what it remembers: it goes on with the same bits.
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

    /// What it remembers, to save it with the weights: the last direction and how far it was gone, the gradient
    /// before, and the pairs of steps and changes of the gradient; nothing before the first step.
    pub fn state_dict(&self) -> StateDict {
        let mut dict = StateDict::new();
        let Some(memory) = &self.memory else { return dict };
        let device = memory.direction.device();
        dict.insert(KIND, Tensor::scalar(1, DType::I32, device));
        dict.insert("direction", memory.direction.detach());
        dict.insert("gradient", memory.gradient.detach());
        dict.insert("scale", memory.scale.detach());
        // Bit by bit, as not every device has f64.
        let bits = memory.length.to_bits();
        let words =
            [(bits >> 32) as i32, bits as i32].map(|word| Tensor::scalar(word, DType::I32, device));
        dict.insert("length", Tensor::stack(&words, 0));
        for (index, parts) in memory.pairs.iter().enumerate() {
            for (name, part) in PAIR.into_iter().zip(parts) {
                dict.insert(format!("pairs.{index}.{name}"), part.detach());
            }
        }
        dict
    }

    /// Takes over what another remembered of this model. On an error it is as before.
    ///
    /// # Errors
    /// If the state is of another optimizer or another model, something is missing or too much, or it remembers
    /// more steps than this [`history`](Lbfgs::history) allows.
    pub fn load_state_dict(&mut self, dict: &StateDict, model: &impl Module) -> Result<()> {
        if dict.is_empty() {
            self.memory = None;
            return Ok(());
        }
        let mismatch = |fact: String| error::mismatch(format!("load: {fact}"));
        if dict.get(KIND).is_none() {
            return Err(mismatch("the state is not of Lbfgs".into()));
        }
        let like = weights(model);
        let part = |name: &str, shape: &[usize], dtype: DType| {
            let found = dict.get(name).ok_or_else(|| mismatch(format!("{name} is missing")))?;
            if found.shape() == shape && found.dtype() == dtype {
                return Ok(found.detach());
            }
            let (has, own) = (format!("{} {}", found.dtype(), found.shape()), like.shape());
            Err(mismatch(format!(
                "{name} is {has}; the trainable weights are {} {own}",
                like.dtype()
            )))
        };
        let (all, dtype) = (&like.shape()[..], like.dtype());
        let words = part("length", &[2], DType::I32)?.to_vec::<i32>()?;
        let length = f64::from_bits(u64::from(words[0] as u32) << 32 | u64::from(words[1] as u32));
        let [direction, gradient] = [part("direction", all, dtype)?, part("gradient", all, dtype)?];
        let scale = part("scale", &[], dtype)?;
        let count = dict.len().saturating_sub(BESIDE_PAIRS) / PAIR.len();
        if count > self.history {
            let history = self.history;
            return Err(mismatch(format!(
                "it remembers {count} steps, more than the {history} of history"
            )));
        }
        let pairs = (0..count).map(|index| {
            let [step, change, inverse] = PAIR.map(|name| format!("pairs.{index}.{name}"));
            Ok([part(&step, all, dtype)?, part(&change, all, dtype)?, part(&inverse, &[], dtype)?])
        });
        let pairs = pairs.collect::<Result<Vec<_>>>()?;
        if dict.len() != BESIDE_PAIRS + pairs.len() * PAIR.len() {
            return Err(mismatch("the state of Lbfgs has entries that are none of its own".into()));
        }
        self.memory = Some(Memory { direction, length, gradient, pairs, scale });
        Ok(())
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
