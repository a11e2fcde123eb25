//! [`PixelCnn`]: how likely each code of a grid is after those before it, line by line; so it can draw grids.
//!
//! There is one form, the gated one with two stacks, because plain masked convolutions never see a part of what lies
//! above on the right. Letters: N batch, K codes, H and W sizes of the grid, F features.

use super::autoencoder::WIDTH_MAX;
use super::checks::{check_labels, expect_labels};
use crate::{Result, error};
use gradloom_nn::layers::{Conv2d, Embedding};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{DType, Key, Tensor, commit, demand};

const FAMILY: &str = "pixel_cnn";

/// Sizes of a gated PixelCNN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelCnnConfig {
    /// How many codes there are.
    pub codes: usize,
    /// Features of each layer.
    pub width: usize,
    /// Layers, of which the first sees only what is before a place.
    pub layers: usize,
    /// Size of the first layer's windows; odd.
    pub first_kernel: usize,
    /// Size of the other layers' windows; odd.
    pub kernel: usize,
    /// Number of classes, if what is drawn depends on one.
    pub classes: Option<usize>,
}

impl PixelCnnConfig {
    /// 64 features, six layers, windows of 5 and then 3, no classes.
    pub fn new(codes: usize) -> Self {
        PixelCnnConfig { codes, width: 64, layers: 6, first_kernel: 5, kernel: 3, classes: None }
    }

    /// What is drawn depends on a class.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = Some(classes);
        self
    }

    fn check(&self) -> Result<()> {
        let PixelCnnConfig { codes, width, layers, first_kernel, kernel, classes } = *self;
        let numbers = [codes, width, layers, classes.unwrap_or(1)];
        if numbers.into_iter().any(|number| number == 0 || number > WIDTH_MAX) {
            let message =
                format!("{codes} codes, width {width}, {layers} layers, classes {classes:?}");
            return Err(error::config(FAMILY, message));
        }
        if [first_kernel, kernel].into_iter().any(|size| size < 3 || size % 2 == 0 || size > 255) {
            let message = format!("windows of {first_kernel} and {kernel}; they are odd, 3 to 255");
            return Err(error::config(FAMILY, message));
        }
        Ok(())
    }
}

/// One layer of both stacks.
#[derive(Module, Clone, Debug)]
struct GatedLayer {
    /// Over this line and those above.
    vertical: Conv2d,
    /// Over this place and those on the left of it, in the first layer only those on the left.
    horizontal: Conv2d,
    /// From the lines above to this one.
    link: Conv2d,
    output: Conv2d,
    /// What a class adds to both.
    label: Option<Embedding>,
    reach: usize,
    first: bool,
}

impl GatedLayer {
    fn new(
        width: usize,
        kernel: usize,
        first: bool,
        classes: Option<usize>,
        init: &mut Init,
    ) -> Self {
        let plain = Conv2dOptions::default();
        let reach = kernel / 2;
        let own = if first { reach } else { reach + 1 };
        GatedLayer {
            vertical: Conv2d::new(width, 2 * width, [reach + 1, kernel], plain, init),
            horizontal: Conv2d::new(width, 2 * width, [1, own], plain, init),
            link: Conv2d::new(2 * width, 2 * width, 1, plain, init),
            output: Conv2d::new(width, width, 1, plain, init),
            label: classes.map(|classes| {
                let weight = init.normal([classes, 4 * width], 0.02);
                Embedding::from_weight(weight)
            }),
            reach,
            first,
        }
    }

    /// Both stacks, `[N, F, H, W]` each.
    fn forward(
        &self,
        [v, h]: [&Tensor; 2],
        labels: Option<&Tensor>,
        ctx: &mut Context,
    ) -> [Tensor; 2] {
        let (reach, height, width) = (self.reach, v.size(2), v.size(3));
        let above = v.pad(&[(0, 0), (0, 0), (reach, 0), (reach, reach)]);
        let vertical = self.vertical.forward(&above, ctx);
        // A line sees what the stack knows of the one above.
        let shifted = vertical.pad(&[(0, 0), (0, 0), (1, 0), (0, 0)]).narrow(2, 0, height);
        let left = h.pad(&[(0, 0), (0, 0), (0, 0), (reach, 0)]);
        // Without its own place there is one window more than places.
        let horizontal = self.horizontal.forward(&left, ctx).narrow(3, 0, width);
        let mut horizontal = horizontal + self.link.forward(&shifted, ctx);
        let mut vertical = vertical;
        if let (Some(table), Some(labels)) = (&self.label, labels) {
            let added = table.forward(labels, ctx).unsqueeze(2).unsqueeze(3);
            let half = added.size(1) / 2;
            vertical = vertical + added.narrow(1, 0, half);
            horizontal = horizontal + added.narrow(1, half, half);
        }
        let output = self.output.forward(&gate(&horizontal), ctx);
        let h = if self.first { output } else { h + output };
        [gate(&vertical), h]
    }
}

/// `tanh(a) * sigmoid(b)` of the two halves of the channels.
fn gate(x: &Tensor) -> Tensor {
    let half = x.size(1) / 2;
    x.narrow(1, 0, half).tanh() * x.narrow(1, half, half).sigmoid()
}

/// An autoregressive model of grids of codes, optionally of a class: each place depends on the lines above and on what
/// is left of it.
///
/// van den Oord et al., "Conditional image generation with PixelCNN decoders", 2016.
///
/// ```
/// use gradloom_nn::{Context, Init};
/// use gradloom_tensor::{DType, Key, Tensor};
/// use gradloom_vision::generative::{PixelCnn, PixelCnnConfig};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let config = PixelCnnConfig { width: 8, layers: 2, ..PixelCnnConfig::new(32) };
/// let prior = PixelCnn::new(&config, &mut Init::new(Key::new(0), &device))?;
/// let codes = prior.sample([2, 3, 3], None, 1.0, Key::new(1), &device)?;
/// let loss = prior.loss(&codes, None, &mut Context::eval()).item()?;
/// assert!((loss - 32f64.ln()).abs() < 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct PixelCnn {
    embedding: Embedding,
    layers: Vec<GatedLayer>,
    head1: Conv2d,
    head2: Conv2d,
    #[module(skip)]
    config: PixelCnnConfig,
}

impl PixelCnn {
    /// First values as PyTorch's layers have them; what classes add is small.
    ///
    /// # Errors
    /// If the sizes make no sense.
    pub fn new(config: &PixelCnnConfig, init: &mut Init) -> Result<Self> {
        config.check()?;
        let PixelCnnConfig { codes, width, layers, first_kernel, kernel, classes } = *config;
        let layer = |index| {
            let kernel = if index == 0 { first_kernel } else { kernel };
            GatedLayer::new(width, kernel, index == 0, classes, init)
        };
        let layers = (0..layers).map(layer).collect();
        let plain = Conv2dOptions::default();
        Ok(PixelCnn {
            embedding: Embedding::new(codes, width, init),
            layers,
            head1: Conv2d::new(width, width, 1, plain, init),
            head2: Conv2d::new(width, codes, 1, plain, init),
            config: *config,
        })
    }

    /// Logits of each place given those before it: integers `[N, H, W] -> [N, H, W, K]`. Labels `[N]` are given where
    /// there are classes.
    ///
    /// # Panics
    /// If shapes do not fit, or labels are missing or not expected.
    #[track_caller]
    #[must_use]
    pub fn logits(&self, codes: &Tensor, labels: Option<&Tensor>, ctx: &mut Context) -> Tensor {
        let shape = codes.shape();
        demand!(codes.rank() == 3, "{FAMILY}: needs codes [N, H, W], got shape {shape}");
        check_labels(FAMILY, labels, self.config.classes, codes.size(0));
        let features = self.embedding.forward(codes, ctx).permute(&[0, 3, 1, 2]);
        let both = self.layers.iter().fold([features.clone(), features], |[v, h], layer| {
            layer.forward([&v, &h], labels, ctx)
        });
        let hidden = self.head1.forward(&both[1].relu(), ctx);
        self.head2.forward(&hidden.relu(), ctx).permute(&[0, 2, 3, 1])
    }

    /// Mean cross-entropy of the codes in nats, `[]`.
    #[track_caller]
    #[must_use]
    pub fn loss(&self, codes: &Tensor, labels: Option<&Tensor>, ctx: &mut Context) -> Tensor {
        self.logits(codes, labels, ctx).cross_entropy(codes)
    }

    /// Draws grids `[N, H, W]`, one place after the other; logits are divided by the temperature. The same key gives
    /// the same bits.
    ///
    /// # Errors
    /// If the temperature is not above zero, labels are missing or not expected, or the device fails.
    pub fn sample(
        &self,
        [count, height, width]: [usize; 3],
        labels: Option<&Tensor>,
        temperature: f64,
        key: Key,
        device: &gradloom_tensor::Device,
    ) -> Result<Tensor> {
        if !(temperature > 0.0 && temperature.is_finite()) {
            let message = format!("{FAMILY}: a temperature of {temperature}; it is above zero");
            return Err(crate::Error::invalid(message));
        }
        expect_labels(FAMILY, labels, self.config.classes, count)?;
        let places = height * width;
        let mut codes = Tensor::zeros([count, height, width], DType::I32, device);
        commit(&mut codes)?;
        for place in 0..places {
            let start = Tensor::from_vec(vec![place as i32], (), device)?;
            let logits = self.logits(&codes, labels, &mut Context::eval());
            let logits = logits.reshape([count, places, self.config.codes]).narrow_at(1, &start, 1);
            let odds = (logits.wide() * (1.0 / temperature)).softmax(-1);
            let drawn = odds.multinomial(key.fold(place as u32), 1, true).reshape([count, 1]);
            let here = Tensor::arange(places, device).eq(place as i32).unsqueeze(0);
            codes = here.select(&drawn, codes.reshape([count, places]));
            codes = codes.reshape([count, height, width]);
            commit(&mut codes)?;
        }
        Ok(codes)
    }
}
