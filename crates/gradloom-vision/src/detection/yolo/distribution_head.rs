//! [`DistributionHead`]: at each point the distances to the four sides as distributions, and the classes apart from them.

use crate::detection::yolo::blocks::ConvBlock;
use crate::stack::run;
use gradloom_nn::layers::Conv2d;
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{Device, Tensor};

/// Distances of 0 to 15 strides.
pub(crate) const BINS: usize = 16;
/// Pixels between the points of each level.
pub(crate) const STRIDES: [usize; 3] = [8, 16, 32];

/// Decoupled: one branch for distances and one for classes on every level.
#[derive(Module, Clone, Debug)]
pub(crate) struct DistributionHead {
    cv2: Vec<Branch>,
    cv3: Vec<Branch>,
}

#[derive(Module, Clone, Debug)]
struct Branch {
    #[module(rename = "0")]
    first: ConvBlock,
    #[module(rename = "1")]
    second: ConvBlock,
    #[module(rename = "2")]
    last: Conv2d,
}

impl Branch {
    fn new(channels: [usize; 3], bias: f64, activation: Activation, init: &mut Init) -> Self {
        let [inputs, hidden, outputs] = channels;
        let mut last = Conv2d::new(hidden, outputs, 1, Conv2dOptions::default(), init);
        last.bias = Some(init.full(outputs, bias));
        Branch {
            first: ConvBlock::new([inputs, hidden], 3, 1, activation, init),
            second: ConvBlock::new([hidden, hidden], 3, 1, activation, init),
            last,
        }
    }
}

impl Layer for Branch {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = self.first.forward(x, ctx);
        let y = self.second.forward(&y, ctx);
        self.last.forward(&y, ctx)
    }
}

/// What a head says at all points of all levels, level by level and row by row.
pub(crate) struct Points {
    /// `[N, A, 4, BINS]`: logits of the distances to left, top, right and bottom in strides.
    pub(crate) distances: Tensor,
    /// `[N, A, C]`
    pub(crate) logits: Tensor,
    /// `[A, 2]`: places in pixels, x and y.
    pub(crate) centres: Tensor,
    /// `[A, 1]`: strides in pixels.
    pub(crate) strides: Tensor,
}

impl DistributionHead {
    pub(crate) fn new(
        channels: [usize; 3],
        classes: usize,
        activation: Activation,
        init: &mut Init,
    ) -> Self {
        let hidden = (channels[0] / 4).max(16).max(4 * BINS);
        let cv2 = channels
            .iter()
            .map(|&inputs| Branch::new([inputs, hidden, 4 * BINS], 1.0, activation, init));
        let cv2 = cv2.collect();
        let mut head = DistributionHead { cv2, cv3: Vec::new() };
        head.set_classes(channels, classes, activation, init);
        head
    }

    /// New branches of classes. They begin with the expectation of five objects in a picture of 640 pixels.
    pub(crate) fn set_classes(
        &mut self,
        channels: [usize; 3],
        classes: usize,
        activation: Activation,
        init: &mut Init,
    ) {
        let hidden = channels[0].max(classes.min(100));
        let branch = |(&inputs, stride): (&usize, usize)| {
            let points = (640.0 / stride as f64).powi(2);
            let bias = (5.0 / classes as f64 / points).ln();
            Branch::new([inputs, hidden, classes], bias, activation, init)
        };
        self.cv3 = channels.iter().zip(STRIDES).map(branch).collect();
    }

    /// Number of classes, and channels of the levels.
    pub(crate) fn sizes(&self) -> (usize, [usize; 3]) {
        let inputs = |level: usize| self.cv3.get(level).map_or(0, |branch| branch.first.inputs());
        let classes = self.cv3.first().map_or(0, |branch| branch.last.weight.size(0));
        (classes, [inputs(0), inputs(1), inputs(2)])
    }

    pub(crate) fn device(&self) -> Option<&Device> {
        self.cv3.first().map(|branch| branch.last.weight.device())
    }

    #[track_caller]
    pub(crate) fn points(&self, levels: [&Tensor; 3], ctx: &mut Context) -> Points {
        let (mut distances, mut logits) = (Vec::new(), Vec::new());
        let (mut centres, mut strides) = (Vec::new(), Vec::new());
        for (level, (x, stride)) in levels.into_iter().zip(STRIDES).enumerate() {
            let mut branch = |name: &str, branches: &[Branch]| {
                ctx.within(name, |ctx| run(&level.to_string(), &branches[level], x, ctx))
            };
            let [of_sides, of_classes] = [branch("cv2", &self.cv2), branch("cv3", &self.cv3)];
            distances.push(of_sides.flatten(2, -1));
            logits.push(of_classes.flatten(2, -1));
            let plane = [x.size(2), x.size(3)];
            let place = |axis: isize| {
                let index = Tensor::iota(plane, axis, x.device()).cast(x.dtype().compute());
                (index + 0.5) * stride as f64
            };
            let centre = Tensor::stack(&[place(1), place(0)], -1).flatten(0, 1);
            strides.push(centre.narrow(1, 0, 1).full_like(stride as f64));
            centres.push(centre);
        }
        let distances = Tensor::concat(&distances, 2);
        let (batch, count) = (distances.size(0), distances.size(2));
        Points {
            distances: distances.reshape([batch, 4, BINS, count]).permute(&[0, 3, 1, 2]),
            logits: Tensor::concat(&logits, 2).transpose(1, 2),
            centres: Tensor::concat(&centres, 0),
            strides: Tensor::concat(&strides, 0),
        }
    }
}

impl Points {
    /// The boxes in pixels, `[N, A, 4]`: each distance is the mean of its distribution.
    ///
    /// Li et al., "Generalized focal loss", 2020.
    #[track_caller]
    pub(crate) fn boxes(&self) -> Tensor {
        let shares = self.distances.wide().softmax(-1);
        let bins = Tensor::arange(BINS, shares.device()).cast(shares.dtype());
        let distances = (shares * bins).sum(-1) * &self.strides;
        let near = &self.centres - distances.narrow(-1, 0, 2);
        let far = &self.centres + distances.narrow(-1, 2, 2);
        Tensor::concat(&[near, far], -1)
    }
}
