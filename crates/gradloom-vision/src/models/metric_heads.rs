//! What makes embeddings that can be compared: [`Siamese`] towers with their contrastive loss, and the angular margins of
//! [`ArcFace`] and [`CosFace`].
//!
//! Letters: N batch, D features, C classes. The loss of triplets is `gradloom_nn::losses::triplet`.

use gradloom_nn::{Context, Init, Layer, Module, Parameter};
use gradloom_tensor::{Called, Tensor, demand};

/// One network for both inputs of a pair: its embeddings are near for what is alike.
///
/// Both inputs run as one batch, so that batch norms see both.
///
/// Bromley et al., "Signature verification using a siamese time delay neural network", 1993.
///
/// ```
/// use gradloom_nn::layers::{Flatten, Linear};
/// use gradloom_nn::{Context, Init, Sequential};
/// use gradloom_tensor::{Key, Tensor};
/// use gradloom_vision::{Siamese, contrastive_loss};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let model = Siamese::new(Sequential::new().with(Flatten).with(Linear::new(64, 8, init)));
/// let pictures = |seed| Tensor::uniform(Key::new(seed), [5, 1, 8, 8], 0.0, 1.0, &device);
/// let distances = model.distances(&pictures(1), &pictures(2), &mut Context::eval());
/// assert_eq!(distances.shape(), &[5]);
/// let alike = Tensor::new([1.0f32, 0.0, 0.0, 1.0, 1.0], &device)?;
/// assert!(contrastive_loss(&distances, &alike, 1.0).item()? > 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct Siamese<M> {
    /// From inputs `[N, ..]` to embeddings `[N, D]`.
    pub tower: M,
}

impl<M: Layer> Siamese<M> {
    /// With this network.
    pub fn new(tower: M) -> Self {
        Siamese { tower }
    }

    /// The embeddings of both inputs `[N, ..]`, which have one shape: `[N, D]` each.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn embeddings(&self, left: &Tensor, right: &Tensor, ctx: &mut Context) -> [Tensor; 2] {
        let (a, b) = (left.shape(), right.shape());
        assert!(a == b && left.rank() > 0, "siamese: pairs of {a} and {b}; they have one shape");
        let both = self.tower.forward(&Tensor::concat(&[left, right], 0), ctx);
        let count = left.size(0);
        [both.narrow(0, 0, count), both.narrow(0, count, count)]
    }

    /// Euclidean distances of the embeddings of both inputs: `[N]`. PyTorch: `F.pairwise_distance`.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn distances(&self, left: &Tensor, right: &Tensor, ctx: &mut Context) -> Tensor {
        let [left, right] = self.embeddings(left, right, ctx);
        let difference = left.wide() - right.wide() + 1e-6;
        difference.square().sum(-1).sqrt()
    }
}

impl<M: Layer + Clone + 'static> Layer for Siamese<M> {
    /// The embedding of one input.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.tower.forward(x, ctx)
    }
}

/// The mean of `y d^2 + (1 - y) max(0, margin - d)^2`, halved: distances `[N]`, and `y` of one for pairs that are alike
/// and of zero for others.
///
/// Hadsell, Chopra and LeCun, "Dimensionality reduction by learning an invariant mapping", 2006.
///
/// # Panics
/// If shapes differ or the distances are no floats.
#[track_caller]
#[must_use]
pub fn contrastive_loss(distances: &Tensor, alike: &Tensor, margin: f64) -> Tensor {
    const OP: &str = "contrastive_loss";
    let _called = Called::op(OP);
    let (d, y) = (distances.shape(), alike.shape());
    demand!(d == y, "{OP}: distances {d} and whether pairs are alike {y} differ");
    demand!(distances.dtype().is_float(), "{OP}: needs floats, got {}", distances.dtype());
    let d = distances.wide();
    let y = alike.cast(d.dtype());
    let apart = (&d * -1.0 + margin).relu().square();
    let loss = (&y * d.square() + (&y * -1.0 + 1.0) * apart) * 0.5;
    loss.mean(..).cast(distances.dtype())
}

/// Which margin a head has.
#[derive(Clone, Copy)]
enum Margin {
    Angle(f64),
    Cosine(f64),
}

macro_rules! head {
    ($(#[$doc:meta])* $head:ident, $op:literal, $scale:literal, $margin:literal, $kind:ident) => {
        $(#[$doc])*
        #[derive(Module, Clone, Debug)]
        pub struct $head {
            /// `[C, D]`, a direction for each class.
            pub weight: Parameter,
            scale: f64,
            margin: f64,
        }

        impl $head {
            /// For embeddings of so many features.
            pub fn new(features: usize, classes: usize, init: &mut Init) -> Self {
                // Directions alone count, so any spread will do.
                let weight = init.normal([classes, features], 0.01);
                $head { weight, scale: $scale, margin: $margin }
            }

            /// Sets what cosines are multiplied by.
            #[must_use]
            pub fn scale(self, scale: f64) -> Self {
                $head { scale, ..self }
            }

            /// Sets the margin.
            #[must_use]
            pub fn margin(self, margin: f64) -> Self {
                $head { margin, ..self }
            }

            /// Logits that make learning harder, of embeddings `[N, D]` and their classes `[N]`: `[N, C]`.
            ///
            /// # Panics
            /// If shapes do not fit; a class outside `0..C` fails the evaluation.
            #[track_caller]
            pub fn logits(&self, embeddings: &Tensor, classes: &Tensor) -> Tensor {
                let _called = Called::op($op);
                let margin = Margin::$kind(self.margin);
                let cosines = cosines($op, embeddings, &self.weight);
                with_margin($op, &cosines, classes, margin) * self.scale
            }

            /// The cross-entropy of [`logits`](Self::logits): what is learnt by.
            ///
            /// # Panics
            /// As `logits`.
            #[track_caller]
            pub fn loss(&self, embeddings: &Tensor, classes: &Tensor) -> Tensor {
                self.logits(embeddings, classes).cross_entropy(classes).cast(embeddings.dtype())
            }
        }

        impl Layer for $head {
            /// Logits for use, without a margin: `[N, D] -> [N, C]`.
            #[track_caller]
            fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
                let _called = Called::op($op);
                let _layer = ctx.enter(stringify!($head), self);
                let y = (cosines($op, x, &self.weight) * self.scale).cast(x.dtype());
                ctx.ran(stringify!($head), self, &y);
                y
            }
        }
    };
}

head!(
    /// A last layer of directions whose logits are `s cos(angle)`, and `s cos(angle + m)` of the own class while
    /// learning, so that classes come to lie apart by an angle. Where the angle and the margin exceed a half turn, it is
    /// `s (cos(angle) - m sin(m))`, which falls on. The scale `s` is 64 and the margin `m` 0.5 unless set.
    ///
    /// Deng et al., "ArcFace: additive angular margin loss for deep face recognition", 2019.
    ///
    /// ```
    /// use gradloom_nn::{Context, Init, Layer};
    /// use gradloom_tensor::{DType, Key, Tensor};
    /// use gradloom_vision::ArcFace;
    ///
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_cpu::device();
    /// let head = ArcFace::new(8, 3, &mut Init::new(Key::new(0), &device));
    /// let embeddings = Tensor::uniform(Key::new(1), [4, 8], -1.0, 1.0, &device);
    /// let classes = Tensor::new([0, 2, 1, 1], &device)?;
    /// let easy = head.forward(&embeddings, &mut Context::eval()).cross_entropy(&classes);
    /// assert!(head.loss(&embeddings, &classes).item()? > easy.item()?);
    /// # Ok(())
    /// # }
    /// ```
    ArcFace, "arc_face", 64.0, 0.5, Angle
);

head!(
    /// As [`ArcFace`] with the margin on the cosine: `s (cos(angle) - m)` of the own class. The scale `s` is 64 and the
    /// margin `m` 0.35 unless set.
    ///
    /// Wang et al., "CosFace: large margin cosine loss for deep face recognition", 2018.
    CosFace, "cos_face", 64.0, 0.35, Cosine
);

/// Cosines of the angles between embeddings and directions.
#[track_caller]
fn cosines(op: &str, embeddings: &Tensor, weight: &Tensor) -> Tensor {
    demand!(
        embeddings.rank() == 2 && embeddings.size(1) == weight.size(1),
        "{op}: needs embeddings [N, {}], got shape {}",
        weight.size(1),
        embeddings.shape()
    );
    let [x, w] = [embeddings, weight].map(|rows| rows.wide().normalize(-1, 1e-12));
    x.matmul(&w.t())
}

#[track_caller]
fn with_margin(op: &str, cosines: &Tensor, classes: &Tensor, margin: Margin) -> Tensor {
    demand!(
        classes.shape() == &[cosines.size(0)][..],
        "{op}: classes {} for {} embeddings",
        classes.shape(),
        cosines.size(0)
    );
    let own = classes.one_hot(cosines.size(1)).gt(0.5);
    let harder = match margin {
        Margin::Cosine(margin) => cosines - margin,
        Margin::Angle(margin) => {
            // Where the sine is zero its root has no slope.
            let sines = (cosines.square() * -1.0 + 1.0).clamp(1e-12, 1.0).sqrt();
            let (sine, cosine) = margin.sin_cos();
            let turned = cosines * cosine - sines * sine;
            let within = cosines.gt(-cosine);
            within.select(turned, cosines - margin * sine)
        }
    };
    own.select(&harder, cosines)
}
