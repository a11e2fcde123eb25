//! [`Trunk`]: numbered parts, each of which reads the one before it, or another.

use crate::detection::yolo::blocks::{C2f, ConvBlock, Sppf};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};
use gradloom_tensor::ops::pooling::PoolOptions;

/// All of a network but its head; names of weights begin with `model.` and the part's number.
#[derive(Module, Clone, Debug)]
pub(crate) struct Trunk {
    model: Vec<Node>,
}

#[derive(Module, Clone, Debug)]
struct Node {
    #[module(flatten)]
    part: Part,
    /// The number of the part that is read.
    input: usize,
}

#[derive(Module, Clone, Debug)]
enum Part {
    Conv(ConvBlock),
    C2f(C2f),
    Sppf(Sppf),
    /// Maxima of two by two with this stride.
    Pool(usize),
    /// A line of zeros below and one on the right.
    Extend,
    Upsample,
    /// Beside the output of the part with this number.
    Concat(usize),
}

impl Trunk {
    /// The outputs of all parts.
    #[track_caller]
    pub(crate) fn run(&self, pictures: &Tensor, ctx: &mut Context) -> Vec<Tensor> {
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.model.len());
        ctx.within("model", |ctx| {
            for (index, node) in self.model.iter().enumerate() {
                let x = if index == 0 { pictures } else { &outputs[node.input] };
                let y = ctx.within_index(index, |ctx| {
                    let y = node.part.run(x, &outputs, ctx);
                    ctx.tap("output", &y)
                });
                outputs.push(y);
            }
        });
        outputs
    }
}

impl Part {
    #[track_caller]
    fn run(&self, x: &Tensor, outputs: &[Tensor], ctx: &mut Context) -> Tensor {
        match self {
            Part::Conv(block) => block.forward(x, ctx),
            Part::C2f(block) => block.forward(x, ctx),
            Part::Sppf(block) => block.forward(x, ctx),
            Part::Pool(stride) => x.max_pool2d(&PoolOptions::new(2).stride(*stride)),
            Part::Extend => x.pad(&[(0, 0), (0, 0), (0, 1), (0, 1)]),
            Part::Upsample => {
                let sizes = [2 * x.size(2), 2 * x.size(3)];
                x.interpolate(&sizes, &InterpolateOptions::new(Interpolation::Nearest))
            }
            Part::Concat(other) => Tensor::concat(&[x, &outputs[*other]], 1),
        }
    }
}

/// Makes a trunk part by part; each reads the one before it.
pub(crate) struct TrunkBuilder<'i> {
    nodes: Vec<Node>,
    channels: Vec<usize>,
    input: usize,
    activation: Activation,
    init: &'i mut Init,
}

impl<'i> TrunkBuilder<'i> {
    pub(crate) fn new(activation: Activation, init: &'i mut Init) -> Self {
        TrunkBuilder { nodes: Vec::new(), channels: Vec::new(), input: 0, activation, init }
    }

    pub(crate) fn finish(self) -> Trunk {
        Trunk { model: self.nodes }
    }

    /// Channels of what the next part reads: of pictures three.
    fn inputs(&self) -> usize {
        self.channels.get(self.input).copied().unwrap_or(3)
    }

    /// Channels of a part's output.
    pub(crate) fn channels_of(&self, part: usize) -> usize {
        self.channels[part]
    }

    fn push(&mut self, part: Part, channels: usize) {
        self.nodes.push(Node { part, input: self.input });
        self.input = self.channels.len();
        self.channels.push(channels);
    }

    /// The next part reads this one.
    pub(crate) fn after(&mut self, part: usize) {
        self.input = part;
    }

    pub(crate) fn conv(&mut self, outputs: usize, kernel: usize, stride: usize) {
        let channels = [self.inputs(), outputs];
        let block = ConvBlock::new(channels, kernel, stride, self.activation, self.init);
        self.push(Part::Conv(block), outputs);
    }

    pub(crate) fn c2f(&mut self, outputs: usize, repeats: usize, shortcut: bool) {
        let channels = [self.inputs(), outputs];
        let block = C2f::new(channels, repeats, shortcut, self.activation, self.init);
        self.push(Part::C2f(block), outputs);
    }

    pub(crate) fn sppf(&mut self) {
        let channels = self.inputs();
        let block = Sppf::new(channels, self.activation, self.init);
        self.push(Part::Sppf(block), channels);
    }

    pub(crate) fn pool(&mut self, stride: usize) {
        self.push(Part::Pool(stride), self.inputs());
    }

    pub(crate) fn extend(&mut self) {
        self.push(Part::Extend, self.inputs());
    }

    pub(crate) fn upsample(&mut self) {
        self.push(Part::Upsample, self.inputs());
    }

    pub(crate) fn concat(&mut self, other: usize) {
        self.push(Part::Concat(other), self.inputs() + self.channels[other]);
    }
}
