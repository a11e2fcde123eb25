//! Shapes, dtypes and messages of the structured ops, on a backend that only stores elements.

use std::any::Any;
use std::sync::Arc;

use crate::ops::attention::AttentionOptions;
use crate::ops::convolution::{Conv1dOptions, Conv2dOptions, ConvTranspose2dOptions};
use crate::ops::loss::{CrossEntropyOptions, LossReduction};
use crate::ops::pooling::{Pool1dOptions, PoolOptions};
use crate::{
    Backend, Buffer, Capabilities, DType, Device, Error, Op, Result, Retention, Shape, Statistics,
    Tensor,
};

struct Storage;

impl Backend for Storage {
    fn name(&self) -> String {
        "storage".into()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            host: true,
            f16: true,
            f64: true,
            i64: true,
            buffer_bytes_max: u64::MAX,
            subgroup_size: None,
        }
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Buffer> {
        Ok(Buffer::new(Arc::new(bytes.to_vec()), dtype, bytes.len() / dtype.size()))
    }

    fn download(&self, buffer: &Buffer) -> Result<Vec<u8>> {
        buffer.storage().cloned().ok_or_else(|| Error::backend("not this backend's buffer"))
    }

    fn evaluate(&self, _: &[Tensor], _: Retention) -> Result<()> {
        Err(Error::unsupported("storage computes nothing"))
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn statistics(&self) -> Statistics {
        Statistics::default()
    }

    fn trim(&self) {}

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn device() -> Device {
    Device::new(Arc::new(Storage))
}

fn leaf_on(device: &Device, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let bytes = vec![0; shape.count() * dtype.size()];
    let buffer = device.backend().upload(dtype, &bytes).expect("uploads work");
    Tensor::from_buffer(buffer, shape, device)
}

pub(super) fn leaf(shape: impl Into<Shape>) -> Tensor {
    leaf_on(&device(), DType::F32, shape)
}

#[test]
fn reshape_takes_every_kind_of_sizes() {
    let x = leaf([2, 3, 4]);
    for y in [
        x.reshape([6, -1]),
        x.reshape([6usize, 4]),
        x.reshape([6isize, -1]),
        x.reshape(Shape::new(&[6, 4])),
        x.reshape(vec![6usize, 4]),
        x.reshape(&[6usize, 4][..]),
        x.flatten(0, 1),
    ] {
        assert_eq!(*y.shape(), [6, 4]);
    }
    assert_eq!(*x.reshape(-1).shape(), [24]);
    assert_eq!(*leaf([1, 1]).reshape(()).shape(), Shape::SCALAR);
    assert_eq!(*leaf(()).flatten(0, -1).shape(), [1]);
}

#[test]
fn views_that_change_nothing_make_no_node() {
    let x = leaf([2, 3]);
    for y in [
        x.reshape([2, 3]),
        x.permute(&[0, 1]),
        x.transpose(1, -1),
        x.broadcast_to([2, 3]),
        x.pad(&[(0, 0), (0, 0)]),
        x.roll(3, 1),
        x.repeat(&[1, 1]),
        x.narrow(0, 0, 2),
        Tensor::concat(&[&x], 0),
    ] {
        assert_eq!(y.id(), x.id());
    }
    assert_eq!(leaf([1, 3]).flip(0).op().name(), "buffer");
}

#[test]
fn views_have_the_shapes_of_their_names() {
    let x = leaf([2, 1, 3]);
    assert_eq!(*x.squeeze(1).shape(), [2, 3]);
    assert_eq!(*x.unsqueeze(-1).shape(), [2, 1, 3, 1]);
    assert_eq!(*x.permute(&[2, 0, 1]).shape(), [3, 2, 1]);
    assert_eq!(*x.transpose(0, -1).shape(), [3, 1, 2]);
    assert_eq!(*x.broadcast_to([5, 2, 4, 3]).shape(), [5, 2, 4, 3]);
    assert_eq!(*x.pad(&[(1, 2), (0, 0), (0, 1)]).shape(), [5, 1, 4]);
    assert_eq!(*x.pad_value(&[(1, 2), (0, 0), (0, 1)], 7.0).shape(), [5, 1, 4]);
    assert_eq!(*x.roll(-1, 2).shape(), [2, 1, 3]);
    assert_eq!(*x.repeat(&[4, 1, 5, 2]).shape(), [4, 2, 5, 6]);
    assert_eq!(*x.repeat(&[0, 1, 2]).shape(), [0, 1, 6]);
    assert_eq!(*leaf([2, 3]).t().shape(), [3, 2]);
}

#[test]
fn parts_cover_the_axis() {
    let sizes = |parts: Vec<Tensor>| parts.iter().map(|part| part.size(0)).collect::<Vec<_>>();
    assert_eq!(sizes(leaf([7]).chunk(3, 0)), [3, 3, 1]);
    assert_eq!(sizes(leaf([5]).chunk(4, 0)), [2, 2, 1]);
    assert_eq!(sizes(leaf([0]).chunk(2, 0)), [0, 0]);
    assert_eq!(sizes(leaf([6]).split(&[1, 0, 5], -1)), [1, 0, 5]);
    assert_eq!(*leaf([2, 3]).index(1, -1).shape(), [2]);
}

#[test]
fn joins_add_sizes_or_axes() {
    let device = device();
    let x = leaf_on(&device, DType::F32, [2, 3]);
    let y = leaf_on(&device, DType::F32, [2, 1]);
    assert_eq!(*Tensor::concat(&[&x, &y], -1).shape(), [2, 4]);
    assert_eq!(*Tensor::stack(&[x.clone(), x.clone()], -1).shape(), [2, 3, 2]);
    assert_eq!(*Tensor::stack(&[&x, &x], 0).shape(), [2, 2, 3]);
}

#[test]
fn products_have_numpy_shapes() {
    let device = device();
    for (lhs, rhs, result) in [
        (&[2, 3][..], &[3, 4][..], &[2, 4][..]),
        (&[3], &[3], &[]),
        (&[3], &[3, 4], &[4]),
        (&[2, 3], &[3], &[2]),
        (&[5, 2, 3], &[3, 4], &[5, 2, 4]),
        (&[5, 2, 3], &[3], &[5, 2]),
        (&[3], &[5, 3, 4], &[5, 4]),
        (&[2, 3], &[5, 3, 4], &[5, 2, 4]),
        (&[5, 1, 2, 3], &[6, 3, 4], &[5, 6, 2, 4]),
        (&[2, 3], &[1, 1, 3, 4], &[1, 1, 2, 4]),
        (&[0, 3], &[3, 4], &[0, 4]),
    ] {
        let lhs = leaf_on(&device, DType::F32, lhs);
        let rhs = leaf_on(&device, DType::F32, rhs);
        assert_eq!(lhs.matmul(&rhs).shape().dims(), result);
    }
    let x = leaf_on(&device, DType::F32, [3]);
    assert_eq!(*x.dot(&x).shape(), Shape::SCALAR);
    assert_eq!(*x.outer(&leaf_on(&device, DType::F32, [4])).shape(), [3, 4]);
}

#[test]
fn matmul_folds_batch_axes_into_rows() {
    let device = device();
    let x = leaf_on(&device, DType::F32, [5, 2, 3]);
    let product = x.matmul(&leaf_on(&device, DType::F32, [3, 4]));
    assert!(matches!(product.op(), Op::Reshape));
    assert_eq!(*product.inputs()[0].shape(), [10, 4]);
}

#[test]
fn convolutions_have_pytorch_shapes() {
    let device = device();
    let leaf = |shape: &[usize]| leaf_on(&device, DType::F32, shape);
    let options = Conv2dOptions::default().stride([2, 1]).padding([1, 2]).groups(2);
    let y = leaf(&[2, 4, 8, 9]).conv2d(&leaf(&[6, 2, 3, 3]), &options);
    assert_eq!(*y.shape(), [2, 6, 4, 11]);
    let y = leaf(&[2, 4, 8]).conv1d(&leaf(&[6, 4, 3]), &Conv1dOptions::default().dilation(2));
    assert_eq!(*y.shape(), [2, 6, 4]);
    let options = ConvTranspose2dOptions::default()
        .stride([2, 2])
        .padding([1, 1])
        .output_padding([1, 0])
        .groups(2);
    let y = leaf(&[2, 4, 5, 5]).conv_transpose2d(&leaf(&[4, 3, 3, 3]), &options);
    assert_eq!(*y.shape(), [2, 6, 10, 9]);
}

#[test]
fn pools_have_pytorch_shapes() {
    let x = leaf([2, 3, 8, 6]);
    let overlapping = PoolOptions::new([3, 3]).stride([2, 2]).padding([1, 1]);
    assert_eq!(*x.max_pool2d(&overlapping).shape(), [2, 3, 4, 3]);
    assert_eq!(*x.avg_pool2d(&overlapping.count_include_pad(false)).shape(), [2, 3, 4, 3]);
    assert_eq!(*x.avg_pool2d(&PoolOptions::new([2, 2])).shape(), [2, 3, 4, 3]);
    assert_eq!(*x.adaptive_avg_pool2d([2, 3]).shape(), [2, 3, 2, 3]);
    assert_eq!(*x.global_avg_pool2d().shape(), [2, 3]);
    let y = leaf([2, 3, 8]);
    assert_eq!(*y.max_pool1d(&Pool1dOptions::new(2)).shape(), [2, 3, 4]);
    assert_eq!(*y.avg_pool1d(&Pool1dOptions::new(4)).shape(), [2, 3, 2]);
}

#[test]
fn indices_give_shapes_and_are_checked() {
    let device = device();
    let x = leaf_on(&device, DType::F16, [5, 6]);
    let index = leaf_on(&device, DType::U8, [2, 3]);
    assert_eq!(*x.take(1, &index).shape(), [5, 2, 3]);
    assert_eq!(*x.take(0, &leaf_on(&device, DType::I32, ())).shape(), [6]);
    assert_eq!(*x.embedding(&index).shape(), [2, 3, 6]);
    assert_eq!(x.embedding(&index).dtype(), DType::F16);
    assert_eq!(*x.index_select(-1, &leaf_on(&device, DType::U32, [4])).shape(), [5, 4]);
    let index = leaf_on(&device, DType::I32, [5, 2]);
    let gathered = x.gather(1, &index);
    assert_eq!(*gathered.shape(), [5, 2]);
    assert!(matches!(gathered.inputs()[1].op(), Op::CheckIndex { size: 6, op: "gather" }));
    assert_eq!(*x.scatter_add(1, &index, &gathered).shape(), [5, 6]);
}

#[test]
fn sorts_give_indices_as_i32() {
    let (values, indices) = leaf([4, 6]).topk(2, -1, true);
    assert_eq!((*values.shape(), indices.dtype()), (Shape::new(&[4, 2]), DType::I32));
    let (values, indices) = leaf([4, 6]).sort(0, false);
    assert_eq!(values.shape(), indices.shape());
}

#[test]
fn norms_keep_shape_and_dtype() {
    let device = device();
    let x = leaf_on(&device, DType::BF16, [2, 6, 4]);
    let last = leaf_on(&device, DType::BF16, [4]);
    let channels = leaf_on(&device, DType::BF16, [6]);
    for y in [
        x.softmax(1),
        x.log_softmax(-1),
        x.layer_norm(1, Some(&last), Some(&last), 1e-5),
        x.layer_norm(2, None, None, 1e-5),
        x.rms_norm(Some(&last), 1e-5),
        x.group_norm(3, Some(&channels), Some(&channels), 1e-5),
        x.normalize(-1, 1e-12),
    ] {
        assert_eq!((y.shape(), y.dtype()), (x.shape(), DType::BF16));
    }
}

#[test]
fn attention_shares_key_heads() {
    let device = device();
    let leaf = |shape: &[usize]| leaf_on(&device, DType::F32, shape);
    let query = leaf(&[2, 8, 3, 4]);
    for heads in [1, 2, 8] {
        let (key, value) = (leaf(&[2, heads, 5, 4]), leaf(&[2, heads, 5, 7]));
        let mask = leaf_on(&device, DType::Bool, [3, 5]);
        let options = AttentionOptions::default().causal(true).mask(&mask);
        let (y, weights) = Tensor::attention_with_weights(&query, &key, &value, &options);
        assert_eq!(*y.shape(), [2, 8, 3, 7]);
        assert_eq!(*weights.shape(), [2, 8, 3, 5]);
    }
    let (key, value) = (leaf(&[5, 4]), leaf(&[5, 7]));
    let y = Tensor::attention(&leaf(&[3, 4]), &key, &value, &AttentionOptions::default());
    assert_eq!(*y.shape(), [3, 7]);
}

#[test]
fn losses_reduce_to_scalars() {
    let device = device();
    let logits = leaf_on(&device, DType::F32, [2, 3, 10]);
    let targets = leaf_on(&device, DType::U8, [2, 3]);
    assert_eq!(*logits.cross_entropy(&targets).shape(), Shape::SCALAR);
    let options = CrossEntropyOptions::default().label_smoothing(0.1).ignore_index(-100);
    let targets = leaf_on(&device, DType::I32, [2, 3]);
    assert_eq!(*logits.cross_entropy_with(&targets, &options).shape(), Shape::SCALAR);
    let each = logits.cross_entropy_with(&targets, &options.reduction(LossReduction::None));
    assert_eq!(*each.shape(), [2, 3]);
    assert_eq!(*logits.log_softmax(-1).nll_loss(&targets).shape(), Shape::SCALAR);
    let y = leaf_on(&device, DType::F32, [2, 3, 10]);
    for loss in [
        logits.mse_loss(&y),
        logits.l1_loss(&y),
        logits.huber_loss(&y, 1.0),
        logits.smooth_l1_loss(&y, 0.5),
        logits.bce_with_logits(&y),
        logits.binary_cross_entropy(&y),
        logits.kl_div(&y),
        logits.hinge_loss(&y),
    ] {
        assert_eq!(*loss.shape(), Shape::SCALAR);
    }
    assert_eq!(*logits.cosine_similarity(&y, 1).shape(), [2, 10]);
}

#[test]
#[should_panic(expected = "matmul: inner dimensions differ: [2, 3] x [4, 5]")]
fn matmul_names_both_shapes() {
    let device = device();
    let _ = leaf_on(&device, DType::F32, [2, 3]).matmul(&leaf_on(&device, DType::F32, [4, 5]));
}

#[test]
#[should_panic(expected = "squeeze: axis 0 of [2, 3] has size 2, not 1")]
fn squeeze_of_a_wide_axis_panics() {
    let _ = leaf([2, 3]).squeeze(0);
}

#[test]
#[should_panic(expected = "conv2d: channels do not fit")]
fn convolution_channels_must_fit() {
    let device = device();
    let weight = leaf_on(&device, DType::F32, [6, 3, 3, 3]);
    let _ = leaf_on(&device, DType::F32, [1, 4, 8, 8]).conv2d(&weight, &Conv2dOptions::default());
}

#[test]
#[should_panic(expected = "embedding: needs an integer tensor, not f32")]
fn float_index_panics() {
    let device = device();
    let index = leaf_on(&device, DType::F32, [2]);
    let _ = leaf_on(&device, DType::F32, [5, 6]).embedding(&index);
}

#[test]
#[should_panic(expected = "concat: [2, 3] and [3, 3] must agree in every axis but 1")]
fn concat_sizes_must_agree() {
    let device = device();
    let x = leaf_on(&device, DType::F32, [2, 3]);
    let _ = Tensor::concat(&[x, leaf_on(&device, DType::F32, [3, 3])], 1);
}

#[test]
#[should_panic(
    expected = "cross_entropy: input [2, 3] needs targets of its shape without the last"
)]
fn cross_entropy_targets_must_fit() {
    let device = device();
    let _ = leaf_on(&device, DType::F32, [2, 3]).cross_entropy(&leaf_on(&device, DType::I32, [3]));
}

#[test]
#[should_panic(expected = "layer_norm: the weight has shape [3], not [4]")]
fn layer_norm_weight_must_fit() {
    let device = device();
    let weight = leaf_on(&device, DType::F32, [3]);
    let _ = leaf_on(&device, DType::F32, [2, 4]).layer_norm(1, Some(&weight), None, 1e-5);
}
