//! [`AnchorHead`]: at each cell three boxes, each a change of a prior of its size.

use gradloom_nn::layers::Conv2d;
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{DType, Device, Tensor};

/// Priors of a cell of one level.
pub(crate) const PRIORS: usize = 3;
/// Place, size and whether there is an object, before the classes.
pub(crate) const SIDES: usize = 5;
/// Pixels between the cells of each level.
pub(crate) const STRIDES: [usize; 2] = [16, 32];

/// One convolution for each level.
#[derive(Module, Clone, Debug)]
pub(crate) struct AnchorHead {
    m: Vec<Conv2d>,
}

/// A box that a network changes: a size around the middle of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prior {
    /// Column and row of the cell.
    pub(crate) cell: [f64; 2],
    /// Pixels between cells.
    pub(crate) stride: f64,
    /// Width and height in pixels.
    pub(crate) size: [f64; 2],
}

impl AnchorHead {
    pub(crate) fn new(channels: [usize; 2], classes: usize, init: &mut Init) -> Self {
        let outputs = PRIORS * (SIDES + classes);
        let conv = |inputs| Conv2d::new(inputs, outputs, 1, Conv2dOptions::default(), init);
        AnchorHead { m: channels.into_iter().map(conv).collect() }
    }

    /// Channels of the levels.
    pub(crate) fn inputs(&self) -> [usize; 2] {
        [0, 1].map(|level| self.m.get(level).map_or(0, |conv| conv.weight.size(1)))
    }

    /// Number of classes.
    pub(crate) fn classes(&self) -> usize {
        self.m.first().map_or(0, |conv| (conv.weight.size(0) / PRIORS).saturating_sub(SIDES))
    }

    pub(crate) fn device(&self) -> Option<&Device> {
        self.m.first().map(|conv| conv.weight.device())
    }

    /// What is said at all priors: `[N, A, 5 + C]` of numbers without bounds, level by level, prior by prior, row by row.
    #[track_caller]
    pub(crate) fn maps(&self, levels: [&Tensor; 2], ctx: &mut Context) -> Tensor {
        let maps = self.m.iter().zip(levels).enumerate().map(|(level, (conv, x))| {
            let map = ctx.within("m", |ctx| {
                ctx.within_index(level, |ctx| {
                    let map = conv.forward(x, ctx);
                    ctx.tap("output", &map)
                })
            });
            let numbers = map.size(1) / PRIORS;
            let [batch, height, width] = [map.size(0), map.size(2), map.size(3)];
            let map = map.reshape([batch, PRIORS, numbers, height, width]);
            map.permute(&[0, 1, 3, 4, 2]).reshape([batch, PRIORS * height * width, numbers])
        });
        Tensor::concat(&maps.collect::<Vec<Tensor>>(), 1)
    }
}

/// The priors of a picture, in the order of [`AnchorHead::maps`].
pub(crate) fn priors([height, width]: [usize; 2], anchors: &[[[f64; 2]; PRIORS]; 2]) -> Vec<Prior> {
    let mut priors = Vec::new();
    for (stride, sizes) in STRIDES.into_iter().zip(anchors) {
        for &size in sizes {
            for row in 0..height / stride {
                for column in 0..width / stride {
                    let cell = [column as f64, row as f64];
                    priors.push(Prior { cell, stride: stride as f64, size });
                }
            }
        }
    }
    priors
}

/// The same as tensors `[A, 2]`: places of cells in pixels, sizes in pixels, and strides `[A, 1]`.
#[track_caller]
pub(crate) fn prior_tensors(
    [height, width]: [usize; 2],
    anchors: &[[[f64; 2]; PRIORS]; 2],
    dtype: DType,
    device: &Device,
) -> [Tensor; 3] {
    let (mut places, mut sizes, mut strides) = (Vec::new(), Vec::new(), Vec::new());
    for (stride, of_level) in STRIDES.into_iter().zip(anchors) {
        let plane = [height / stride, width / stride];
        let place = |axis| Tensor::iota(plane, axis, device).cast(dtype) * stride as f64;
        let cells = Tensor::stack(&[place(1), place(0)], -1).flatten(0, 1);
        for size in of_level {
            let side = |axis: usize| cells.narrow(1, 0, 1).full_like(size[axis]);
            sizes.push(Tensor::concat(&[side(0), side(1)], 1));
            strides.push(cells.narrow(1, 0, 1).full_like(stride as f64));
            places.push(cells.clone());
        }
    }
    [places, sizes, strides].map(|parts| Tensor::concat(&parts, 0))
}
