//! Convolutions to a single point and transposed ones from a single point, as the matrix products that they are: no
//! window moves, so every element of the weight meets one of the input, and derivatives of all orders are products too.
//!
//! Convolutions of each channel by itself stay what they are: their products would have one row and one column.
//! Letters: N batch, C input channels, O output channels, G groups, K elements of the window.

use crate::op::{Groups, Window};
use crate::shape::RANK_MAX;
use crate::{Shape, Tensor};

/// What a convolution node computes, as a product, if it has one window and no padding:
/// `[N, G, C / G * K] x [G, O / G, C / G * K]^T`.
pub(super) fn of_one_window(node: &Tensor, window: &Window, groups: Groups) -> Option<Tensor> {
    let [input, weight] = node.inputs() else { return None };
    let (samples, outputs, shared) = (input.size(0), weight.size(0), weight.size(1));
    let by_itself = groups > 1 && outputs == groups && shared == 1;
    if window.of(node.shape()) != [1; 3] || window.pads() || by_itself {
        return None;
    }
    let (seen, inner) = (seen(input, window), shared * window.taps());
    let product = match groups {
        1 => seen.reshape([samples, inner]).matmul(&weight.reshape([outputs, inner]).t()),
        _ => {
            let rows = seen.reshape([samples, groups, inner]).permute(&[1, 0, 2]);
            let columns = weight.reshape([groups, outputs / groups, inner]).permute(&[0, 2, 1]);
            rows.matmul(&columns).permute(&[1, 0, 2])
        }
    };
    Some(product.reshape(*node.shape()))
}

/// What a transposed convolution node computes, as a product, if its input is a point and nothing is cut off or left
/// between: `[N, G, C / G] x [G, C / G, O / G * K]`.
pub(super) fn from_one_point(node: &Tensor, window: &Window, groups: Groups) -> Option<Tensor> {
    let [weight, input] = node.inputs() else { return None };
    let (samples, channels, shared) = (input.size(0), weight.size(0), weight.size(1));
    let by_itself = groups > 1 && channels == groups && shared == 1;
    let fits = window.of(input.shape()) == [1; 3] && window.of(node.shape()) == window.kernel;
    if !fits || window.pads() || by_itself {
        return None;
    }
    let outer = shared * window.taps();
    let product = match groups {
        1 => input.reshape([samples, channels]).matmul(&weight.reshape([channels, outer])),
        _ => {
            let inner = channels / groups;
            let rows = input.reshape([samples, groups, inner]).permute(&[1, 0, 2]);
            rows.matmul(&weight.reshape([groups, inner, outer])).permute(&[1, 0, 2])
        }
    };
    Some(product.reshape(*node.shape()))
}

/// The elements of an input that its only window sees.
fn seen(input: &Tensor, window: &Window) -> Tensor {
    let taken: Shape = window.shape(input.size(0), input.size(1), window.kernel);
    if taken == *input.shape() {
        return input.clone();
    }
    let mut steps = [1; RANK_MAX];
    for (step, place) in steps[2..].iter_mut().zip(window.own()) {
        *step = if window.kernel[place] > 1 { window.dilation[place] } else { 1 };
    }
    input.slice_raw([0; RANK_MAX], steps, taken)
}
