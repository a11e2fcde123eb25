//! The modules of Inception v3: chains of convolutions side by side.

use crate::models::inception_parts::BasicConv;
use crate::stack::{Stack, run};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;

/// Of the first values of weights.
pub(super) const DEVIATION: f64 = 0.1;

/// Chains of convolutions side by side.
#[derive(Module, Clone, Debug)]
pub(super) struct Mixed {
    #[module(flatten)]
    convs: Stack,
    #[module(skip)]
    chains: &'static [Chain],
    /// Means at the edge are over zeros too.
    count_padding: bool,
}

/// One branch of a module.
#[derive(Clone, Copy, Debug)]
enum Chain {
    /// One after another.
    Line(&'static [&'static str]),
    /// One after another, and then two side by side.
    Split(&'static [&'static str], [&'static str; 2]),
    /// The mean of three by three before a convolution.
    Mean(&'static str),
    /// The maximum of three by three with stride two.
    Max,
}

impl Mixed {
    /// Says whether means at the edge are over the zeros around the picture too.
    pub(super) fn count_padding(self, count_padding: bool) -> Self {
        Mixed { count_padding, ..self }
    }

    fn conv(&self, name: &str, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.convs.get(name).map_or_else(|| x.clone(), |conv| run(name, conv, x, ctx))
    }

    fn line(&self, names: &[&str], x: &Tensor, ctx: &mut Context) -> Tensor {
        names.iter().fold(x.clone(), |x, name| self.conv(name, &x, ctx))
    }
}

impl Layer for Mixed {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let mut branches = Vec::new();
        for chain in self.chains {
            match chain {
                Chain::Line(names) => branches.push(self.line(names, x, ctx)),
                Chain::Split(names, ends) => {
                    let x = self.line(names, x, ctx);
                    branches.extend(ends.map(|end| self.conv(end, &x, ctx)));
                }
                Chain::Mean(name) => {
                    let options = PoolOptions::new(3).stride(1).padding(1);
                    let options = options.count_include_pad(self.count_padding);
                    branches.push(self.conv(name, &x.avg_pool2d(&options), ctx));
                }
                Chain::Max => branches.push(x.max_pool2d(&PoolOptions::new(3).stride(2))),
            }
        }
        Tensor::concat(&branches, 1)
    }
}

/// A convolution of a module: name, channels, kernel, stride, with padding that keeps the size.
type Row = (&'static str, [usize; 2], [usize; 2], usize, bool);

fn mixed(rows: &[Row], chains: &'static [Chain], init: &mut Init) -> Mixed {
    let mut convs = Stack::new();
    for &(name, channels, kernel, stride, padded) in rows {
        let padding = if padded { kernel.map(|size| size / 2) } else { [0, 0] };
        let options = Conv2dOptions::default().stride(stride).padding(padding);
        convs.insert(name, BasicConv::new(channels, kernel, options, DEVIATION, init));
    }
    Mixed { convs, chains, count_padding: true }
}

/// At 35 x 35.
pub(super) fn module_a(inputs: usize, pool: usize, init: &mut Init) -> Mixed {
    let rows = [
        ("branch1x1", [inputs, 64], [1, 1], 1, true),
        ("branch5x5_1", [inputs, 48], [1, 1], 1, true),
        ("branch5x5_2", [48, 64], [5, 5], 1, true),
        ("branch3x3dbl_1", [inputs, 64], [1, 1], 1, true),
        ("branch3x3dbl_2", [64, 96], [3, 3], 1, true),
        ("branch3x3dbl_3", [96, 96], [3, 3], 1, true),
        ("branch_pool", [inputs, pool], [1, 1], 1, true),
    ];
    const CHAINS: &[Chain] = &[
        Chain::Line(&["branch1x1"]),
        Chain::Line(&["branch5x5_1", "branch5x5_2"]),
        Chain::Line(&["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]),
        Chain::Mean("branch_pool"),
    ];
    mixed(&rows, CHAINS, init)
}

/// From 35 x 35 to 17 x 17.
pub(super) fn module_b(inputs: usize, init: &mut Init) -> Mixed {
    let rows = [
        ("branch3x3", [inputs, 384], [3, 3], 2, false),
        ("branch3x3dbl_1", [inputs, 64], [1, 1], 1, true),
        ("branch3x3dbl_2", [64, 96], [3, 3], 1, true),
        ("branch3x3dbl_3", [96, 96], [3, 3], 2, false),
    ];
    const CHAINS: &[Chain] = &[
        Chain::Line(&["branch3x3"]),
        Chain::Line(&["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]),
        Chain::Max,
    ];
    mixed(&rows, CHAINS, init)
}

/// At 17 x 17, with `inner` channels along the lines of seven.
pub(super) fn module_c(inputs: usize, inner: usize, init: &mut Init) -> Mixed {
    let rows = [
        ("branch1x1", [inputs, 192], [1, 1], 1, true),
        ("branch7x7_1", [inputs, inner], [1, 1], 1, true),
        ("branch7x7_2", [inner, inner], [1, 7], 1, true),
        ("branch7x7_3", [inner, 192], [7, 1], 1, true),
        ("branch7x7dbl_1", [inputs, inner], [1, 1], 1, true),
        ("branch7x7dbl_2", [inner, inner], [7, 1], 1, true),
        ("branch7x7dbl_3", [inner, inner], [1, 7], 1, true),
        ("branch7x7dbl_4", [inner, inner], [7, 1], 1, true),
        ("branch7x7dbl_5", [inner, 192], [1, 7], 1, true),
        ("branch_pool", [inputs, 192], [1, 1], 1, true),
    ];
    const CHAINS: &[Chain] = &[
        Chain::Line(&["branch1x1"]),
        Chain::Line(&["branch7x7_1", "branch7x7_2", "branch7x7_3"]),
        Chain::Line(&[
            "branch7x7dbl_1",
            "branch7x7dbl_2",
            "branch7x7dbl_3",
            "branch7x7dbl_4",
            "branch7x7dbl_5",
        ]),
        Chain::Mean("branch_pool"),
    ];
    mixed(&rows, CHAINS, init)
}

/// From 17 x 17 to 8 x 8.
pub(super) fn module_d(inputs: usize, init: &mut Init) -> Mixed {
    let rows = [
        ("branch3x3_1", [inputs, 192], [1, 1], 1, true),
        ("branch3x3_2", [192, 320], [3, 3], 2, false),
        ("branch7x7x3_1", [inputs, 192], [1, 1], 1, true),
        ("branch7x7x3_2", [192, 192], [1, 7], 1, true),
        ("branch7x7x3_3", [192, 192], [7, 1], 1, true),
        ("branch7x7x3_4", [192, 192], [3, 3], 2, false),
    ];
    const CHAINS: &[Chain] = &[
        Chain::Line(&["branch3x3_1", "branch3x3_2"]),
        Chain::Line(&["branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"]),
        Chain::Max,
    ];
    mixed(&rows, CHAINS, init)
}

/// At 8 x 8.
pub(super) fn module_e(inputs: usize, init: &mut Init) -> Mixed {
    let rows = [
        ("branch1x1", [inputs, 320], [1, 1], 1, true),
        ("branch3x3_1", [inputs, 384], [1, 1], 1, true),
        ("branch3x3_2a", [384, 384], [1, 3], 1, true),
        ("branch3x3_2b", [384, 384], [3, 1], 1, true),
        ("branch3x3dbl_1", [inputs, 448], [1, 1], 1, true),
        ("branch3x3dbl_2", [448, 384], [3, 3], 1, true),
        ("branch3x3dbl_3a", [384, 384], [1, 3], 1, true),
        ("branch3x3dbl_3b", [384, 384], [3, 1], 1, true),
        ("branch_pool", [inputs, 192], [1, 1], 1, true),
    ];
    const CHAINS: &[Chain] = &[
        Chain::Line(&["branch1x1"]),
        Chain::Split(&["branch3x3_1"], ["branch3x3_2a", "branch3x3_2b"]),
        Chain::Split(&["branch3x3dbl_1", "branch3x3dbl_2"], ["branch3x3dbl_3a", "branch3x3dbl_3b"]),
        Chain::Mean("branch_pool"),
    ];
    mixed(&rows, CHAINS, init)
}
