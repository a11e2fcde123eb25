//! Four short lessons, each a program that runs.
//!
//! # 1. Tensors are lazy
//!
//! A method makes a node; elements are computed when they are asked for, as few fused kernels.
//!
//! ```
//! use gradloom::prelude::*;
//!
//! # fn main() -> Result<()> {
//! let device = Device::cpu();
//! let x = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
//! let y = (&x * 2.0 + 1.0).slice(s![.., 1..]);
//! assert_eq!(y.shape(), &Shape::new(&[2, 2]));
//! assert_eq!(y.to_vec::<f32>()?, [5.0, 7.0, 11.0, 13.0]);
//! assert_eq!(x.sum(0).to_vec::<f32>()?, [5.0, 7.0, 9.0]);
//! # Ok(())
//! # }
//! ```
//!
//! Shapes that do not fit are a mistake in the program, and panic at the line that made it. Whoever must
//! check first calls the shape rules:
//!
//! ```
//! use gradloom::{Shape, shape_rules};
//!
//! let fits = shape_rules::structured::matmul(&Shape::new(&[2, 3]), &Shape::new(&[4, 5]));
//! assert!(fits.unwrap_err().to_string().starts_with("matmul: inner dimensions differ"));
//! ```
//!
//! # 2. Derivatives are tensors
//!
//! `grad` walks the graph and builds more graph. There is no tape to start and none to clear.
//!
//! ```
//! use gradloom::prelude::*;
//!
//! # fn main() -> Result<()> {
//! let x = Tensor::new([1.0f64, 2.0], &Device::cpu())?;
//! let y = x.powi(3).sum(..);
//! let first = grad(&y, &[&x]).swap_remove(0);
//! assert_eq!(first.to_vec::<f64>()?, [3.0, 12.0]);
//! let second = grad(&first.sum(..), &[&x]).swap_remove(0);
//! assert_eq!(second.to_vec::<f64>()?, [6.0, 12.0]);
//! # Ok(())
//! # }
//! ```
//!
//! # 3. Models are plain structs
//!
//! Field names are weight names. `Context` is the only state of a run.
//!
//! ```
//! use gradloom::nn::layers::{Dropout, Linear};
//! use gradloom::prelude::*;
//!
//! #[derive(Clone, Module)]
//! struct Classifier {
//!     hidden: Linear,
//!     dropout: Dropout,
//!     head: Linear,
//! }
//!
//! impl Classifier {
//!     fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
//!         let x = self.hidden.forward(x, ctx).relu();
//!         self.head.forward(&self.dropout.forward(&x, ctx), ctx)
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let device = Device::cpu();
//! let mut init = Init::new(Key::new(0), &device);
//! let mut model = Classifier {
//!     hidden: Linear::new(4, 8, &mut init),
//!     dropout: Dropout::new(0.1),
//!     head: Linear::new(8, 3, &mut init),
//! };
//! let names: Vec<String> = model.parameters().into_iter().map(|(name, _)| name).collect();
//! assert_eq!(names, ["hidden.weight", "hidden.bias", "head.weight", "head.bias"]);
//!
//! // Frozen weights get no gradient and cost none.
//! model.hidden.freeze();
//! let x = Tensor::normal(Key::new(1), [5, 4], 0.0, 1.0, &device);
//! let labels = Tensor::new([0i32, 1, 2, 0, 1], &device)?;
//! let mut ctx = Context::train(Key::new(2));
//! let loss = model.forward(&x, &mut ctx).cross_entropy(&labels);
//! let gradients = gradients(&loss, &model);
//! assert_eq!(gradients.len(), 2);
//!
//! let mut optimizer = AdamW::new(1e-2);
//! optimizer.step(&gradients, &mut model);
//! commit((&mut model, &mut optimizer))?;
//! assert!(loss.item()?.is_finite());
//! # Ok(())
//! # }
//! ```
//!
//! # 4. A step ends with `commit`
//!
//! [`eval`](crate::eval()) computes tensors and keeps their histories, so that gradients can still be asked
//! for. [`commit`](crate::commit()) computes everything it is given in one evaluation and cuts the
//! histories: weights and optimizer state are then updated in the memory they had, and nothing grows from
//! step to step. A loss whose gradient takes part gets its value in the same evaluation. Drop or detach what
//! you keep from a step (logits for a metric, say): a tensor that still has its history holds the step's
//! weights.
