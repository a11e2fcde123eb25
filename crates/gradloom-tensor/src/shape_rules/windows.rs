//! Shape rules of what moves windows over one to three axes: convolution, its transpose, pooling.
//!
//! Letters: N batch, C input channels, O output channels, K kernel; the sizes of the axes follow.

use crate::op::{Groups, Window};
use crate::shape_rules::structured::rank;
use crate::shape_rules::too_large;
use crate::{Error, Result, Shape};

/// What an operand of a window of so many axes looks like.
const INPUTS: [&str; 3] =
    ["an input [N, C, L]", "an input [N, C, H, W]", "an input [N, C, D, H, W]"];

/// Requires an input `[N, C, ..]` of `axes` axes after the first two.
///
/// # Errors
/// If the number of axes differs.
pub fn input(op: &str, shape: &Shape, axes: usize) -> Result<()> {
    rank(op, INPUTS[axes - 1], shape, axes + 2)
}

/// Sizes of the `N` axes of an input `[N, C, ..]`.
///
/// # Errors
/// If the number of axes differs, or if there is nothing along one of them.
pub fn sizes<const N: usize>(op: &str, shape: &Shape) -> Result<[usize; N]> {
    input(op, shape, N)?;
    let sizes = std::array::from_fn(|axis| shape[axis + 2]);
    match sizes.contains(&0) {
        true => Err(Error::shape(format!("{op}: an axis of {shape} has no elements"))),
        false => Ok(sizes),
    }
}

/// Requires a whole window of at least one element, at a distance of at least one.
fn window(op: &str, size: [usize; 3], window: &Window) -> Result<[usize; 3]> {
    if !window.is_whole() {
        return Err(Error::shape(format!(
            "{op}: {} axes of a window, whose others are not units: {window:?}",
            window.axes
        )));
    }
    let own = window.own();
    let (kernel, stride, dilation) =
        (&window.kernel[own.clone()], &window.stride[own.clone()], &window.dilation[own.clone()]);
    positive(op, kernel, stride, dilation)?;
    window.output(size).ok_or_else(|| {
        Error::shape(format!(
            "{op}: a window of {kernel:?} with dilation {dilation:?} does not fit into {:?} with \
             padding {:?}",
            &size[own.clone()],
            &window.padding[own]
        ))
    })
}

/// Requires windows of at least one element, at a distance of at least one.
///
/// # Errors
/// If a size is zero.
pub fn positive(op: &str, kernel: &[usize], stride: &[usize], dilation: &[usize]) -> Result<()> {
    if [kernel, stride, dilation].iter().any(|sizes| sizes.contains(&0)) {
        return Err(Error::shape(format!(
            "{op}: kernel {kernel:?}, stride {stride:?} and dilation {dilation:?} must be at least 1"
        )));
    }
    Ok(())
}

/// The kernel of a weight `[.., ..]` of `N` axes after the first two, for an input of as many axes.
///
/// # Errors
/// If a number of axes differs.
pub fn kernel<const N: usize>(op: &str, input: &Shape, weight: &Shape) -> Result<[usize; N]> {
    self::input(op, input, N)?;
    let layout =
        ["a weight [.., .., K]", "a weight [.., .., KH, KW]", "a weight [.., .., KD, KH, KW]"];
    rank(op, layout[N - 1], weight, N + 2)?;
    Ok(std::array::from_fn(|axis| weight[axis + 2]))
}

/// `input [N, C, ..], weight [O, C / groups, K..] -> [N, O, ..]`.
///
/// # Errors
/// If ranks, channels, groups or the window do not fit.
pub fn convolution(
    op: &str,
    input: &Shape,
    weight: &Shape,
    place: &Window,
    groups: Groups,
) -> Result<Shape> {
    let axes = place.axes.clamp(1, 3);
    self::input(op, input, axes)?;
    rank(op, "a weight [O, C / groups, K..] of as many axes", weight, axes + 2)?;
    if groups == 0
        || !weight[0].is_multiple_of(groups)
        || Some(input[1]) != weight[1].checked_mul(groups)
    {
        return Err(Error::shape(format!(
            "{op}: channels do not fit: input {input}, weight {weight}, groups {groups}"
        )));
    }
    let output = window(op, place.of(input), place)?;
    if place.kernel != place.of(weight) {
        return Err(Error::shape(format!(
            "{op}: the window is {:?}, but the weight is {weight}",
            &place.kernel[place.own()]
        )));
    }
    Ok(place.shape(input[0], weight[0], output))
}

/// `[N, C, ..] -> [N, C, ..]` with one element for each window.
///
/// # Errors
/// If the number of axes differs or no window fits.
pub fn pooling(op: &str, input: &Shape, place: &Window) -> Result<Shape> {
    self::input(op, input, place.axes.clamp(1, 3))?;
    Ok(place.shape(input[0], input[1], window(op, place.of(input), place)?))
}

/// What a transposed convolution is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transposed<const N: usize> {
    /// The window of the convolution whose gradient in the input this is.
    pub window: Window,
    /// `[N, O, ..]` that the windows reach.
    pub shape: Shape,
    /// Zeros around it.
    pub zeros: [[usize; 2]; N],
}

/// Where the windows of a transposed convolution lie on its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement<const N: usize> {
    /// Distance between windows.
    pub stride: [usize; N],
    /// Elements cut off on both sides; below zero, zeros added.
    pub padding: [[isize; 2]; N],
    /// Elements added at the end.
    pub output_padding: [usize; N],
    /// Distance between a window's elements.
    pub dilation: [usize; N],
    /// Groups of channels.
    pub groups: Groups,
}

/// `input [N, C, ..], weight [C, O / groups, K..] -> [N, O, ..]` with the sizes
/// `(size - 1) stride - padding + dilation (K - 1) + output_padding + 1`.
///
/// # Errors
/// If ranks, channels or groups do not fit, a size is zero, or `output_padding` is below neither stride
/// nor dilation.
pub fn transposed<const N: usize>(
    op: &str,
    input: &Shape,
    weight: &Shape,
    place: &Placement<N>,
) -> Result<Transposed<N>> {
    let kernel = kernel::<N>(op, input, weight)?;
    let sizes = sizes::<N>(op, input)?;
    let Placement { stride, output_padding, dilation, groups, .. } = *place;
    positive(op, &kernel, &stride, &dilation)?;
    if groups == 0 || input[1] != weight[0] || !input[1].is_multiple_of(groups) {
        return Err(Error::shape(format!(
            "{op}: channels do not fit: input {input}, weight {weight}, groups {groups}"
        )));
    }
    if (0..N).any(|axis| output_padding[axis] >= stride[axis].max(dilation[axis])) {
        return Err(Error::shape(format!(
            "{op}: output_padding {output_padding:?} must be below the stride {stride:?} or the \
             dilation {dilation:?}"
        )));
    }
    let channels = weight[1]
        .checked_mul(groups)
        .ok_or_else(|| too_large(op, format_args!("{groups} groups of weight {weight}")))?;
    let mut window = Window::new(kernel).stride(stride).dilation(dilation);
    let (mut reached, mut zeros) = ([1; 3], [[0, 0]; N]);
    for axis in 0..N {
        let along = Along {
            size: sizes[axis],
            kernel: kernel[axis],
            stride: stride[axis],
            dilation: dilation[axis],
            padding: place.padding[axis],
            output_padding: output_padding[axis],
        };
        let [size, cut_before, cut_after, zeros_before, zeros_after] = along
            .transposed()
            .ok_or_else(|| too_large(op, format_args!("{place:?} of {input}")))?
            .ok_or_else(|| {
                Error::shape(format!("{op}: padding {:?} leaves nothing of {input}", place.padding))
            })?;
        reached[3 - N + axis] = size;
        window.padding[3 - N + axis] = [cut_before, cut_after];
        zeros[axis] = [zeros_before, zeros_after];
    }
    Ok(Transposed { window, shape: window.shape(input[0], channels, reached), zeros })
}

/// One axis of a transposed convolution.
struct Along {
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: [isize; 2],
    output_padding: usize,
}

impl Along {
    /// Size, what is cut off and what is added on both sides; `None` where it overflows, nothing in it
    /// where nothing is left.
    ///
    /// What `output_padding` adds below the stride is left of the input's last window by a convolution,
    /// so it is part of the size; more would be another window, so it is cut less instead.
    fn transposed(&self) -> Option<Option<[usize; 5]>> {
        let number = |size: usize| size as i128;
        let between = number(self.size - 1).checked_mul(number(self.stride))?;
        let inside = number(self.dilation).checked_mul(number(self.kernel - 1))?;
        let full = between.checked_add(inside)?.checked_add(1)?;
        let left_over = if self.output_padding < self.stride { self.output_padding } else { 0 };
        let before = self.padding[0] as i128;
        let after = self.padding[1] as i128 - number(self.output_padding - left_over);
        let size = full + number(left_over) - before.max(0) - after.max(0);
        if size < 0 {
            return Some(None);
        }
        let all = [size, before.max(0), after.max(0), (-before).max(0), (-after).max(0)];
        let mut sizes = [0; 5];
        for (size, number) in sizes.iter_mut().zip(all) {
            *size = usize::try_from(number).ok()?;
        }
        Some(Some(sizes))
    }
}

/// Padding after an axis so that a last window that begins inside it, or in the padding before it, is
/// whole. PyTorch: `ceil_mode`. `None` if no window begins there or sizes overflow.
pub fn ceiling(
    size: usize,
    [before, after]: [usize; 2],
    extent: usize,
    stride: usize,
) -> Option<usize> {
    let padded = size.checked_add(before)?.checked_add(after)?;
    let room = padded.checked_add(stride - 1)?.checked_sub(extent)?;
    let mut windows = room / stride + 1;
    if (windows - 1).checked_mul(stride)? >= size.checked_add(before)? {
        windows -= 1;
    }
    let reach = windows.checked_sub(1)?.checked_mul(stride)?.checked_add(extent)?;
    Some(after.max(reach.saturating_sub(size + before)))
}

/// Where the windows of a pooling or an unfolding lie on its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covering<const N: usize> {
    /// Elements of a window.
    pub kernel: [usize; N],
    /// Distance between windows.
    pub stride: [usize; N],
    /// Padding on both sides.
    pub padding: [[isize; 2]; N],
    /// Distance between a window's elements.
    pub dilation: [usize; N],
    /// Whether a last window that only begins in the input counts.
    pub ceiling: bool,
}

/// The window over an input `[N, C, ..]`, whose padding makes windows whole that only begin in it.
///
/// # Errors
/// If the rank is not `N + 2`, a size is zero, padding is below zero, or no window fits.
pub fn covering<const N: usize>(op: &str, input: &Shape, place: &Covering<N>) -> Result<Window> {
    let sizes = sizes::<N>(op, input)?;
    let Covering { kernel, stride, dilation, .. } = *place;
    positive(op, &kernel, &stride, &dilation)?;
    let mut window = Window::new(kernel).stride(stride).dilation(dilation);
    for axis in 0..N {
        let all_axis = 3 - N + axis;
        let [before, after] = place.padding[axis];
        if before < 0 || after < 0 {
            return Err(Error::shape(format!(
                "{op}: padding {:?} is below zero; cut the input with `narrow`",
                place.padding
            )));
        }
        let padding = [before.unsigned_abs(), after.unsigned_abs()];
        window.padding[all_axis] = padding;
        if place.ceiling {
            let extent = window.extent(all_axis);
            let whole =
                extent.and_then(|extent| ceiling(sizes[axis], padding, extent, stride[axis]));
            window.padding[all_axis][1] = whole.ok_or_else(|| {
                Error::shape(format!(
                    "{op}: no window of {kernel:?} with dilation {dilation:?} begins in {sizes:?} \
                     with padding {:?}",
                    place.padding
                ))
            })?;
        }
    }
    pooling(op, input, &window)?;
    Ok(window)
}

/// Requires padding of at most half a window, so that every window meets the input.
///
/// # Errors
/// If it is more.
pub fn half_padding<const N: usize>(op: &str, place: &Covering<N>) -> Result<()> {
    let fits = (0..N).all(|axis| {
        let between = place.kernel[axis].saturating_sub(1);
        let extent = place.dilation[axis].saturating_mul(between).saturating_add(1);
        place.padding[axis].iter().all(|&size| size < 0 || size.unsigned_abs() <= extent / 2)
    });
    match fits {
        true => Ok(()),
        false => Err(Error::shape(format!(
            "{op}: padding {:?} is more than half of the window {:?}",
            place.padding, place.kernel
        ))),
    }
}
