//! [`Phases`]: padded pictures taken apart by the remainders of their rows and columns, so that with any
//! stride a window's element for all positions is one shifted row.

use std::ops::Range;

use super::geometry::Geometry;
use crate::kernels::lanes::Ordered;
use crate::simd::{Level, vectorized};
use crate::vector::Real;

/// Where the elements of windows lie in taken apart pictures. With stride one there is a single phase, which
/// is the padded picture itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phases {
    /// Of each pair of remainders that windows meet, where the input lies in its phase.
    inner: Vec<Inner>,
    /// Rows and columns of a phase, which are those that windows reach.
    pub(super) size: [usize; 2],
    /// Where each element of the first window is, in the order of the weights.
    pub(super) offsets: Vec<usize>,
}

impl Phases {
    pub(super) fn new(geometry: &Geometry) -> Phases {
        let mut used = Vec::new();
        let mut places = Vec::with_capacity(geometry.kernel[0] * geometry.kernel[1]);
        for y in 0..geometry.kernel[0] {
            for x in 0..geometry.kernel[1] {
                let at = [y * geometry.dilation[0], x * geometry.dilation[1]];
                let phase = [at[0] % geometry.stride[0], at[1] % geometry.stride[1]];
                let place = [at[0] / geometry.stride[0], at[1] / geometry.stride[1]];
                let index = used.iter().position(|own| *own == phase).unwrap_or_else(|| {
                    used.push(phase);
                    used.len() - 1
                });
                places.push((index, place));
            }
        }
        let reach = |axis: usize| places.iter().map(|(_, place)| place[axis]).max().unwrap_or(0);
        let size = [reach(0) + geometry.output[0], reach(1) + geometry.output[1]];
        let area = size[0] * size[1];
        let plane = used.len() * area;
        let of_channel = places.iter().map(|(index, [y, x])| index * area + y * size[1] + x);
        let of_channel: Vec<usize> = of_channel.collect();
        let offsets = (0..geometry.channels)
            .flat_map(|channel| of_channel.iter().map(move |offset| channel * plane + offset))
            .collect();
        let inner = used.iter().map(|phase| Inner::new(geometry, *phase, size)).collect();
        Phases { inner, size, offsets }
    }

    /// Elements of a taken apart plane.
    pub(super) fn plane(&self) -> usize {
        self.inner.len() * self.size[0] * self.size[1]
    }

    /// True if a picture's planes, without zeros around them, are their own only phase.
    pub(super) fn is_input(&self, geometry: &Geometry) -> bool {
        geometry.is_flat()
            && geometry.stride == [1, 1]
            && geometry.before == [0, 0]
            && self.size == geometry.input
    }

    /// Takes apart the planes of a picture; where there is none, and after the last, zeros.
    pub(super) fn fill<T: Real>(
        &self,
        level: Level,
        geometry: &Geometry,
        volume: &[T],
        picture: usize,
        out: &mut [T],
    ) {
        let area = geometry.input_area();
        let (planes, rest) = out.split_at_mut(geometry.channels * self.plane());
        rest.fill(T::zeroed());
        for (plane, out) in planes.chunks_exact_mut(self.plane().max(1)).enumerate() {
            match geometry.plane(picture, plane) {
                Some(first) => self.fill_plane(level, geometry, &volume[first..first + area], out),
                None => out.fill(T::zeroed()),
            }
        }
    }

    /// Takes apart one plane.
    fn fill_plane<T: Real>(&self, level: Level, geometry: &Geometry, plane: &[T], out: &mut [T]) {
        for (phase, out) in out.chunks_exact_mut((self.size[0] * self.size[1]).max(1)).enumerate() {
            let own = &self.inner[phase];
            let columns = self.size[1];
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                match own.rows.contains(&row) {
                    true => {
                        out[..own.columns.start].fill(T::zeroed());
                        out[own.columns.end..].fill(T::zeroed());
                    }
                    false => out.fill(T::zeroed()),
                }
            }
        }
        self.refill_plane(level, geometry, plane, out);
    }

    /// Takes apart another plane where one was before: the zeros around it are there.
    pub(super) fn refill_plane<T: Real>(
        &self,
        level: Level,
        geometry: &Geometry,
        plane: &[T],
        out: &mut [T],
    ) {
        let phases = out.chunks_exact_mut((self.size[0] * self.size[1]).max(1));
        for (out, Inner { rows, columns, first }) in phases.zip(&self.inner) {
            if rows.is_empty() || columns.is_empty() {
                continue;
            }
            let step = geometry.input[1] * geometry.stride[0];
            let count = rows.len();
            let out = &mut out[rows.start * self.size[1]..];
            let (steps, size) = ([step, self.size[1]], [count, columns.len()]);
            copy_rows_apart(level, &plane[*first..], geometry.stride[1], steps, size, {
                &mut out[columns.start..]
            });
        }
    }

    /// Adds taken apart planes to those of a picture where it has them; what is padding is left out.
    pub(super) fn add_to<T: Real + Ordered>(
        &self,
        geometry: &Geometry,
        apart: &[T],
        picture: usize,
        volume: &mut [T],
    ) {
        let area = geometry.input_area();
        for (plane, apart) in apart.chunks_exact(self.plane().max(1)).enumerate() {
            let Some(first) = geometry.plane(picture, plane) else { continue };
            self.add_plane_to(geometry, apart, &mut volume[first..first + area]);
        }
    }

    /// Adds one plane.
    fn add_plane_to<T: Real + Ordered>(&self, geometry: &Geometry, apart: &[T], plane: &mut [T]) {
        let stride = geometry.stride[1];
        let step = geometry.input[1] * geometry.stride[0];
        let phases = apart.chunks_exact((self.size[0] * self.size[1]).max(1));
        for (Inner { rows, columns, first }, apart) in self.inner.iter().zip(phases) {
            if columns.is_empty() {
                continue;
            }
            let reach = (columns.len() - 1) * stride + 1;
            let values = apart.chunks_exact(self.size[1]).skip(rows.start).take(rows.len());
            for (row, values) in values.enumerate() {
                let out = &mut plane[first + row * step..][..reach];
                for (slots, &value) in out.chunks_mut(stride).zip(&values[columns.clone()]) {
                    slots[0] = slots[0].plus(value);
                }
            }
        }
    }
}

/// The part of a phase that is no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    rows: Range<usize>,
    columns: Range<usize>,
    /// The element of the plane that is its first.
    first: usize,
}

impl Inner {
    fn new(geometry: &Geometry, phase: [usize; 2], size: [usize; 2]) -> Inner {
        let of_axis = |axis: usize| {
            let (stride, before) = (geometry.stride[axis], geometry.before[axis]);
            let range = inside(phase[axis], stride, before, geometry.input[axis], size[axis]);
            // Of an empty range nothing is read.
            let first = (range.start * stride + phase[axis]).saturating_sub(before);
            (range, first)
        };
        let ((rows, row), (columns, column)) = (of_axis(0), of_axis(1));
        Inner { rows, columns, first: row * geometry.input[1] + column }
    }
}

/// The indices along an axis of a phase whose elements are those of the input.
fn inside(phase: usize, stride: usize, before: usize, input: usize, size: usize) -> Range<usize> {
    // The element of index `i` is that of the padded axis at `i * stride + phase`.
    let from = |place: usize| place.saturating_sub(phase).div_ceil(stride).min(size);
    from(before)..from(before + input)
}

vectorized! {
    /// Copies rows of every `stride`-th value, which begin `steps[0]` values apart, to rows `steps[1]` apart.
    fn copy_rows_apart['a][T: Real](
        values: &'a [T], stride: usize, steps: [usize; 2], size: [usize; 2], out: &'a mut [T]
    ) {
        let [height, width] = size;
        for row in 0..height {
            let values = &values[row * steps[0]..][..(width - 1) * stride + 1];
            let out = &mut out[row * steps[1]..][..width];
            match (stride, width) {
                (1, 16..) => copy_blocks::<T, 16, 16>(values, out),
                (1, 8..) => copy_blocks::<T, 8, 8>(values, out),
                (1, 4..) => copy_blocks::<T, 4, 4>(values, out),
                (2, 16..) => copy_blocks::<T, 16, 31>(values, out),
                (2, 8..) => copy_blocks::<T, 8, 15>(values, out),
                (2, 4..) => copy_blocks::<T, 4, 7>(values, out),
                _ => {
                    for (slot, values) in out.iter_mut().zip(values.chunks(stride)) {
                        *slot = values[0];
                    }
                }
            }
        }
    }
}

/// Copies a row of every value, or of every second one, in blocks that reach over `REACH` values. The last overlaps
/// the one before.
#[inline(always)]
fn copy_blocks<T: Real, const BLOCK: usize, const REACH: usize>(values: &[T], out: &mut [T]) {
    let stride = REACH.div_ceil(BLOCK);
    let count = out.len();
    let mut first = 0;
    while first < count {
        let from = first.min(count - BLOCK);
        let mut reached = [T::zeroed(); REACH];
        reached.copy_from_slice(&values[from * stride..][..REACH]);
        let mut block = [T::zeroed(); BLOCK];
        for index in 0..BLOCK {
            block[index] = reached[index * stride];
        }
        out[from..from + BLOCK].copy_from_slice(&block);
        first += BLOCK;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gradloom_plan::{Convolution, Factors};
    use gradloom_tensor::op::Window;
    use gradloom_tensor::{DType, Shape};

    #[test]
    fn every_element_of_every_window_is_found() {
        for (kernel, stride, padding, dilation) in [
            ([3, 3], [1, 1], [[1, 1], [1, 1]], [1, 1]),
            ([3, 2], [2, 3], [[1, 0], [2, 1]], [1, 2]),
            ([1, 1], [2, 2], [[0, 0], [0, 0]], [1, 1]),
            ([2, 3], [3, 1], [[4, 2], [0, 3]], [2, 3]),
            ([1, 5], [1, 4], [[3, 3], [9, 9]], [1, 1]),
        ] {
            let window = Window::new(kernel).stride(stride).padding(padding).dilation(dilation);
            let input_size = window.of(&Shape::new(&[7, 8]));
            let output_size = window.output(input_size).expect("windows fit");
            let factors = Factors::of(DType::F32);
            let (batch, channels, outputs, groups) = (1, 2, 1, 1);
            let geometry = Geometry::new(&Convolution {
                window,
                groups,
                batch,
                channels,
                outputs,
                input_size,
                output_size,
                factors,
            });
            let input: Vec<f32> = (1..=2 * 7 * 8).map(|n| n as f32).collect();
            let mut padded = vec![0.0; 2 * geometry.padded_area()];
            geometry.pad(&input, 0, &mut padded);
            let phases = Phases::new(&geometry);
            let mut apart = vec![f32::NAN; 2 * phases.plane() + 3];
            phases.fill(Level::best(), &geometry, &input, 0, &mut apart);
            assert_eq!(apart[2 * phases.plane()..], [0.0; 3]);
            let mut back = vec![0.0; input.len()];
            phases.add_to(&geometry, &apart[..2 * phases.plane()], 0, &mut back);
            let taken = |all: &[f32]| all.iter().filter(|value| **value != 0.0).count();
            assert_eq!(taken(&back), taken(&apart));
            assert!(back.iter().zip(&input).all(|(back, own)| *back == 0.0 || back == own));
            for (offset, place) in geometry.offsets().into_iter().zip(&phases.offsets) {
                for y in 0..geometry.output[0] {
                    for x in 0..geometry.output[1] {
                        let at = offset + y * stride[0] * geometry.padded[1] + x * stride[1];
                        let found = apart[place + y * phases.size[1] + x];
                        assert_eq!(found, padded[at], "{kernel:?} {stride:?} at {y}, {x}");
                    }
                }
            }
        }
    }
}
