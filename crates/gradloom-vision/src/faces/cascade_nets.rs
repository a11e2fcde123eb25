//! The three networks of [`FaceCascade`](crate::faces::FaceCascade).

use gradloom_nn::layers::{Conv2d, Linear, MaxPool2d, Prelu};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::{Device, Tensor};

use crate::classifier::check_pictures;
use crate::stack::Stack;
use crate::{Pretrained, Result};

/// Convolutions with their PReLUs and poolings, under their numbers in the original.
fn trunk(rows: &[([usize; 2], usize, Option<usize>)], init: &mut Init) -> Stack {
    let mut layers = Stack::new();
    for (index, &(channels, kernel, pool)) in rows.iter().enumerate() {
        let number = index + 1;
        let [inputs, outputs] = channels;
        let conv = Conv2d::new(inputs, outputs, kernel, Conv2dOptions::default(), init);
        layers.insert(format!("conv{number}"), conv);
        layers.insert(format!("prelu{number}"), Prelu::new(outputs, init));
        if let Some(size) = pool {
            let options = PoolOptions::new(size).stride(2).ceil_mode(true);
            layers.insert(format!("pool{number}"), MaxPool2d::with_options(options));
        }
    }
    layers
}

/// `[N, C, H, W] -> [N, W H C]`, as the original, which was trained in another framework, has it.
#[track_caller]
fn flattened(x: &Tensor) -> Tensor {
    x.permute(&[0, 3, 2, 1]).flatten(1, -1)
}

/// The first network: pictures `[N, 3, H, W]` of at least 12 x 12 -> codes of boxes `[N, 4, H', W']` and the
/// probabilities of nothing and a face `[N, 2, H', W']`, of windows of 12 x 12 two pixels apart.
///
/// facenet-pytorch: `PNet`, `pnet.pt`.
#[derive(Module, Clone, Debug)]
pub struct ProposalNet {
    #[module(flatten)]
    trunk: Stack,
    conv4_1: Conv2d,
    conv4_2: Conv2d,
}

impl Pretrained for ProposalNet {
    type Config = ();
    const FAMILY: &'static str = "proposal_net";

    fn new(_: &(), init: &mut Init) -> Result<Self> {
        let rows = [([3, 10], 3, Some(2)), ([10, 16], 3, None), ([16, 32], 3, None)];
        let trunk = trunk(&rows, init);
        let mut head = |outputs| Conv2d::new(32, outputs, 1, Conv2dOptions::default(), init);
        Ok(ProposalNet { trunk, conv4_1: head(2), conv4_2: head(4) })
    }
}

impl ProposalNet {
    /// Codes and probabilities.
    #[track_caller]
    pub fn propose(&self, x: &Tensor, ctx: &mut Context) -> [Tensor; 2] {
        check_pictures(Self::FAMILY, x, 3);
        let x = self.trunk.forward(x, ctx);
        [self.conv4_2.forward(&x, ctx), self.conv4_1.forward(&x, ctx).softmax(1)]
    }
}

/// The second network: pictures `[N, 3, 24, 24]` -> codes of boxes `[N, 4]` and the probabilities of nothing and a
/// face `[N, 2]`.
///
/// facenet-pytorch: `RNet`, `rnet.pt`.
#[derive(Module, Clone, Debug)]
pub struct RefineNet {
    #[module(flatten)]
    trunk: Stack,
    dense4: Linear,
    prelu4: Prelu,
    dense5_1: Linear,
    dense5_2: Linear,
}

impl Pretrained for RefineNet {
    type Config = ();
    const FAMILY: &'static str = "refine_net";

    fn new(_: &(), init: &mut Init) -> Result<Self> {
        let rows = [([3, 28], 3, Some(3)), ([28, 48], 3, Some(3)), ([48, 64], 2, None)];
        Ok(RefineNet {
            trunk: trunk(&rows, init),
            dense4: Linear::new(576, 128, init),
            prelu4: Prelu::new(128, init),
            dense5_1: Linear::new(128, 2, init),
            dense5_2: Linear::new(128, 4, init),
        })
    }
}

impl RefineNet {
    /// Codes and probabilities.
    #[track_caller]
    pub fn refine(&self, x: &Tensor, ctx: &mut Context) -> [Tensor; 2] {
        check_pictures(Self::FAMILY, x, 3);
        let x = self.dense4.forward(&flattened(&self.trunk.forward(x, ctx)), ctx);
        let x = self.prelu4.forward(&x, ctx);
        [self.dense5_2.forward(&x, ctx), self.dense5_1.forward(&x, ctx).softmax(1)]
    }
}

/// The third network: pictures `[N, 3, 48, 48]` -> codes of boxes `[N, 4]`, five points `[N, 10]`, first x and then y
/// as parts of the box, and the probabilities of nothing and a face `[N, 2]`.
///
/// facenet-pytorch: `ONet`, `onet.pt`.
#[derive(Module, Clone, Debug)]
pub struct OutputNet {
    #[module(flatten)]
    trunk: Stack,
    dense5: Linear,
    prelu5: Prelu,
    dense6_1: Linear,
    dense6_2: Linear,
    dense6_3: Linear,
}

impl Pretrained for OutputNet {
    type Config = ();
    const FAMILY: &'static str = "output_net";

    fn new(_: &(), init: &mut Init) -> Result<Self> {
        let rows = [
            ([3, 32], 3, Some(3)),
            ([32, 64], 3, Some(3)),
            ([64, 64], 3, Some(2)),
            ([64, 128], 2, None),
        ];
        Ok(OutputNet {
            trunk: trunk(&rows, init),
            dense5: Linear::new(1152, 256, init),
            prelu5: Prelu::new(256, init),
            dense6_1: Linear::new(256, 2, init),
            dense6_2: Linear::new(256, 4, init),
            dense6_3: Linear::new(256, 10, init),
        })
    }
}

impl OutputNet {
    pub(super) fn device(&self) -> &Device {
        self.dense5.weight.device()
    }

    /// Codes, points and probabilities.
    #[track_caller]
    pub fn finish(&self, x: &Tensor, ctx: &mut Context) -> [Tensor; 3] {
        check_pictures(Self::FAMILY, x, 3);
        let x = self.dense5.forward(&flattened(&self.trunk.forward(x, ctx)), ctx);
        let x = self.prelu5.forward(&x, ctx);
        [
            self.dense6_2.forward(&x, ctx),
            self.dense6_3.forward(&x, ctx),
            self.dense6_1.forward(&x, ctx).softmax(1),
        ]
    }
}
