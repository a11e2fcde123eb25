//! What layers compute, as functions: of tensors alone, with weights and keys of random numbers as operands.
//! PyTorch: `torch.nn.functional`; what is not here is a method of [`Tensor`](gradloom_tensor::Tensor) (activations, convolutions,
//! pooling, `interpolate`, `grid_sample`) or a [loss](crate::losses).
//!
//! A function that draws takes a [`Key`](gradloom_tensor::Key) in training and `None` otherwise, where PyTorch
//! has the flag `training`.

mod attention;
mod distance;
mod dropout;
mod embedding_bag;
mod normalization;

pub use attention::{
    DotProductOptions, MultiHeadOptions, attention_logsumexp, multi_head_attention,
    scaled_dot_product_attention,
};
pub use distance::{bilinear, pairwise_distance};
pub use dropout::{
    alpha_dropout, dropout, dropout_channels, dropout_gradient, feature_alpha_dropout, rrelu,
};
pub use embedding_bag::{BagMode, EmbeddingBagOptions, embedding_bag};
pub use normalization::{
    Normalized, batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm,
};
