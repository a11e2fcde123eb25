//! [`Init`]: where the first values of weights come from: a device, a dtype, and a stream of keys.
//!
//! The same key gives the same weights, bit for bit. Weights are lazy like all tensors; the first
//! [`commit`](gradloom_tensor::commit) computes them. Orthogonal initialisation is absent: it needs a
//! matrix decomposition.

use crate::Parameter;
use gradloom_tensor::{DType, Device, Key, Shape, Tensor};

/// Makes the first values of a model's weights. Layers draw from it when they are made.
///
/// ```
/// use gradloom_nn::Init;
/// use gradloom_nn::init::Gain;
/// use gradloom_tensor::Key;
///
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let weight = init.kaiming_normal([64, 3, 3, 3], Gain::Relu);
/// assert!(weight.is_trainable());
/// ```
#[derive(Clone, Debug)]
pub struct Init {
    key: Key,
    drawn: u32,
    device: Device,
    dtype: DType,
}

/// How a layer's activation changes the spread of values: the gain of an initialisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gain {
    /// No activation, or a sigmoid.
    Linear,
    /// `tanh`: 5/3.
    Tanh,
    /// `relu`: the square root of 2.
    Relu,
    /// `leaky_relu` with this slope.
    LeakyRelu(f64),
}

impl Gain {
    /// The factor. PyTorch: `torch.nn.init.calculate_gain`.
    pub fn factor(self) -> f64 {
        match self {
            Gain::Linear => 1.0,
            Gain::Tanh => 5.0 / 3.0,
            Gain::Relu => 2f64.sqrt(),
            Gain::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
        }
    }
}

impl Init {
    /// Weights drawn from a key, in f32.
    pub fn new(key: Key, device: &Device) -> Self {
        Init { key, drawn: 0, device: device.clone(), dtype: DType::F32 }
    }

    /// The same in another floating-point dtype.
    ///
    /// # Panics
    /// If it is not floating-point.
    #[must_use]
    #[track_caller]
    pub fn dtype(mut self, dtype: DType) -> Self {
        assert!(dtype.is_float(), "init: weights cannot be {dtype}");
        self.dtype = dtype;
        self
    }

    /// Where the weights live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The next key.
    pub fn key(&mut self) -> Key {
        let key = self.key.fold(self.drawn);
        self.drawn = self.drawn.wrapping_add(1);
        key
    }

    /// A weight of zeros.
    #[track_caller]
    pub fn zeros(&mut self, shape: impl Into<Shape>) -> Parameter {
        Parameter::new(Tensor::zeros(shape, self.dtype, &self.device))
    }

    /// A weight of ones.
    #[track_caller]
    pub fn ones(&mut self, shape: impl Into<Shape>) -> Parameter {
        Parameter::new(Tensor::ones(shape, self.dtype, &self.device))
    }

    /// A weight of one value.
    #[track_caller]
    pub fn full(&mut self, shape: impl Into<Shape>, value: f64) -> Parameter {
        Parameter::new(Tensor::full(shape, value, self.dtype, &self.device))
    }

    /// State of one value, such as a running statistic.
    #[track_caller]
    pub fn state(&mut self, shape: impl Into<Shape>, value: f64) -> Parameter {
        Parameter::state(Tensor::full(shape, value, self.dtype.compute(), &self.device))
    }

    /// A weight uniform in `-bound..bound`. PyTorch: `init.uniform_`.
    #[track_caller]
    pub fn uniform(&mut self, shape: impl Into<Shape>, bound: f64) -> Parameter {
        let drawn = Tensor::uniform(self.key(), shape, -bound, bound, &self.device);
        Parameter::new(drawn.cast(self.dtype))
    }

    /// A normally distributed weight with mean zero. PyTorch: `init.normal_`.
    #[track_caller]
    pub fn normal(&mut self, shape: impl Into<Shape>, deviation: f64) -> Parameter {
        let drawn = Tensor::normal(self.key(), shape, 0.0, deviation, &self.device);
        Parameter::new(drawn.cast(self.dtype))
    }

    /// Uniform with deviation `gain / sqrt(fan_in)`, which keeps the spread of values on the way
    /// forward (He et al., 2015). PyTorch: `init.kaiming_uniform_`.
    #[track_caller]
    pub fn kaiming_uniform(&mut self, shape: impl Into<Shape>, gain: Gain) -> Parameter {
        let shape = shape.into();
        let deviation = gain.factor() / fan_in(&shape).sqrt();
        self.uniform(shape, 3f64.sqrt() * deviation)
    }

    /// Normal with deviation `gain / sqrt(fan_in)`. PyTorch: `init.kaiming_normal_`.
    #[track_caller]
    pub fn kaiming_normal(&mut self, shape: impl Into<Shape>, gain: Gain) -> Parameter {
        let shape = shape.into();
        self.normal(shape, gain.factor() / fan_in(&shape).sqrt())
    }

    /// Uniform with deviation `gain * sqrt(2 / (fan_in + fan_out))`, which keeps the spread in both
    /// directions (Glorot and Bengio, 2010). PyTorch: `init.xavier_uniform_`.
    #[track_caller]
    pub fn xavier_uniform(&mut self, shape: impl Into<Shape>, gain: Gain) -> Parameter {
        let shape = shape.into();
        self.uniform(shape, 3f64.sqrt() * xavier_deviation(&shape, gain))
    }

    /// Normal with deviation `gain * sqrt(2 / (fan_in + fan_out))`. PyTorch: `init.xavier_normal_`.
    #[track_caller]
    pub fn xavier_normal(&mut self, shape: impl Into<Shape>, gain: Gain) -> Parameter {
        let shape = shape.into();
        self.normal(shape, xavier_deviation(&shape, gain))
    }
}

fn xavier_deviation(shape: &Shape, gain: Gain) -> f64 {
    gain.factor() * (2.0 / (fan_in(shape) + fan_out(shape))).sqrt()
}

/// How many inputs an output element is a sum of, for a weight `[out, in, kernel..]`; at least 1.
#[track_caller]
fn fan_in(shape: &Shape) -> f64 {
    assert!(shape.rank() >= 2, "init: a weight of shape {shape} has no fan; give a bound");
    shape[1..].iter().product::<usize>().max(1) as f64
}

/// How many output elements an input element reaches.
#[track_caller]
fn fan_out(shape: &Shape) -> f64 {
    (shape[0] * shape[2..].iter().product::<usize>()).max(1) as f64
}
