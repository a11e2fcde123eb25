//! [`Phases`]: padded pictures taken apart by the remainders of their rows and columns, so that with any
//! stride a window's element for all positions is one shifted row.

use super::geometry::Geometry;
use crate::kernels::lanes::Ordered;
use crate::simd::{Level, vectorized};
use crate::vector::Real;

/// Where the elements of windows lie in taken apart pictures. With stride one there is a single phase, which
/// is the padded picture itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phases {
    /// The remainders that windows meet.
    used: Vec<[usize; 2]>,
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
        Phases { used, size, offsets }
    }

    /// Elements of a taken apart plane.
    pub(super) fn plane(&self) -> usize {
        self.used.len() * self.size[0] * self.size[1]
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
        let [rows, columns] = self.size;
        let [height, width] = geometry.input;
        for ([y, x], out) in self.used.iter().zip(out.chunks_exact_mut((rows * columns).max(1))) {
            // The columns that are not padding: those before `first` and from `last` on are.
            let (first, last) = inside(*x, geometry.stride[1], geometry.before[1], width, columns);
            let source = (first * geometry.stride[1] + x).saturating_sub(geometry.before[1]);
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                let row = (row * geometry.stride[0] + y).wrapping_sub(geometry.before[0]);
                if row >= height || first >= last {
                    out.fill(T::zeroed());
                    continue;
                }
                out[..first].fill(T::zeroed());
                out[last..].fill(T::zeroed());
                let values = &plane[row * width + source..(row + 1) * width];
                let out = &mut out[first..last];
                match geometry.stride[1] {
                    1 => out.copy_from_slice(&values[..out.len()]),
                    stride => copy_each(level, values, stride, out),
                }
            }
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
        let [rows, columns] = self.size;
        let [height, width] = geometry.input;
        let stride = geometry.stride[1];
        for ([y, x], apart) in self.used.iter().zip(apart.chunks_exact((rows * columns).max(1))) {
            let (first, last) = inside(*x, stride, geometry.before[1], width, columns);
            if first >= last {
                continue;
            }
            let start = (first * stride + x).saturating_sub(geometry.before[1]);
            for (row, values) in apart.chunks_exact(columns).enumerate() {
                let row = (row * geometry.stride[0] + y).wrapping_sub(geometry.before[0]);
                if row >= height {
                    continue;
                }
                let out = &mut plane[row * width + start..(row + 1) * width];
                for (slots, &value) in out.chunks_mut(stride).zip(&values[first..last]) {
                    slots[0] = slots[0].plus(value);
                }
            }
        }
    }
}

/// The indices of a row of a phase whose elements are those of the input.
fn inside(
    phase: usize,
    stride: usize,
    before: usize,
    width: usize,
    columns: usize,
) -> (usize, usize) {
    // The element of index `i` is that of the padded row at `i * stride + phase`.
    let from = |place: usize| place.saturating_sub(phase).div_ceil(stride).min(columns);
    (from(before), from(before + width))
}

vectorized! {
    /// Every second value, or every `stride`-th.
    fn copy_each['a][T: Real](values: &'a [T], stride: usize, out: &'a mut [T]) {
        let count = out.len();
        if count == 0 {
            return;
        }
        let values = &values[..(count - 1) * stride + 1];
        if stride == 2 {
            let (pairs, last) = values.split_at(2 * (count - 1));
            for (slot, pair) in out.iter_mut().zip(pairs.chunks_exact(2)) {
                *slot = pair[0];
            }
            out[count - 1] = last[0];
            return;
        }
        for (slot, values) in out.iter_mut().zip(values.chunks(stride)) {
            *slot = values[0];
        }
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
