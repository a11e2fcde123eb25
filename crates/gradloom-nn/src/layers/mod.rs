//! Layers: structs of parameters with a forward function. Names, shapes, formulas and first values of
//! weights are PyTorch's, so published checkpoints fit.

mod activation;
mod adapter;
mod attention;
mod batch_norm;
mod conv;
mod conv_transpose;
mod dropout;
mod embedding;
mod embedding_bag;
mod flatten;
mod group_norm;
mod gru;
mod key_value_cache;
mod layer_norm;
mod linear;
mod lstm;
mod names;
mod pooling;
mod prelu;
mod recurrent;
mod recurrent_cells;
mod recurrent_weights;
mod rms_norm;
mod rnn;
mod rotary;
mod running_statistics;
mod sequential;
mod transformer;
mod unfold;

pub use activation::Activation;
pub use adapter::{Adapter, LowRank};
pub use attention::{AttentionMask, MultiHeadAttention};
pub use batch_norm::{BatchNorm, InstanceNorm};
pub use conv::{Conv, Conv1d, Conv2d, Conv3d};
pub use conv_transpose::{ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
pub use dropout::{AlphaDropout, Dropout, DropoutChannels, FeatureAlphaDropout};
pub use embedding::Embedding;
pub use embedding_bag::EmbeddingBag;
pub use flatten::Flatten;
pub use group_norm::GroupNorm;
pub use gru::Gru;
pub use key_value_cache::KeyValueCache;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use lstm::{Lstm, LstmState};
pub use pooling::{
    AdaptiveAvgPool, AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool,
    AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d, AvgPool, AvgPool1d, AvgPool2d,
    AvgPool3d, GlobalAvgPool2d, LpPool, LpPool1d, LpPool2d, LpPool3d, MaxPool, MaxPool1d,
    MaxPool2d, MaxPool3d, MaxUnpool, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d,
};
pub use prelu::Prelu;
pub use recurrent::RecurrentOptions;
pub use recurrent_cells::{GruCell, LstmCell, RnnCell};
pub use rms_norm::RmsNorm;
pub use rnn::{Rnn, RnnNonlinearity};
pub use rotary::{Rotary, RotaryAngles, RotaryScaling};
pub use running_statistics::RunningStatistics;
pub use sequential::Sequential;
pub use transformer::{
    TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
    TransformerOptions,
};
pub use unfold::{Fold, Unfold};

use crate::{Context, Module};
use gradloom_tensor::Tensor;

/// A module from one tensor to one tensor, which can stand in a [`Sequential`].
pub trait Layer: Module + CloneLayer + Send + Sync {
    /// The layer's output.
    ///
    /// # Panics
    /// If the input's shape or dtype does not suit the layer.
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor;
}

/// What lets a boxed layer be cloned. Every layer with `Clone` has it.
pub trait CloneLayer {
    /// A copy that shares the tensors.
    fn clone_layer(&self) -> Box<dyn Layer>;
}

impl<L: Layer + Clone + 'static> CloneLayer for L {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Layer> {
    fn clone(&self) -> Self {
        (**self).clone_layer()
    }
}

/// `y + bias`, where the bias belongs to axis 1 of `y`.
#[track_caller]
fn add_channel_bias(y: &Tensor, bias: Option<&crate::Parameter>) -> Tensor {
    match bias {
        Some(bias) => y + per_channel(bias, y.rank()),
        None => y.clone(),
    }
}

/// `[C]` as `[C, 1, ..]`, to meet `[N, C, ..]` of `rank` axes.
#[track_caller]
fn per_channel(vector: &Tensor, rank: usize) -> Tensor {
    let mut shape = vec![1; rank - 1];
    shape[0] = vector.count();
    vector.reshape(shape)
}
