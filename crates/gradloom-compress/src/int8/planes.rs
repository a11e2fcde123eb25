//! [`Planes`]: a picture whose channels lie in fours, with its padding, taken apart by the remainders of rows and columns
//! so that with any stride an element of the windows of all positions is one shifted row.

use std::cell::RefCell;
use std::ops::Range;

use gradloom_tensor::op::Window;
use gradloom_tensor::{Error, Result, Shape};

use super::packed::{FOUR, Layout};

/// Positions that may be read after the last.
const ROOM: usize = 64;

/// Sizes of a convolution of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) images: usize,
    pub(super) groups: usize,
    /// Channels and outputs of a group.
    pub(super) channels: usize,
    pub(super) outputs: usize,
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) before: [usize; 2],
}

impl Geometry {
    /// Of `[N, C, L]` or `[N, C, H, W]`.
    ///
    /// # Errors
    /// If windows do not fit, or have depth.
    pub(super) fn new(
        x: &Shape,
        outputs: usize,
        window: &Window,
        groups: usize,
    ) -> Result<Geometry> {
        let fits = x.rank() == window.axes + 2 && window.axes <= 2;
        let divides = groups > 0 && fits && x[1].is_multiple_of(groups);
        if !divides || !outputs.is_multiple_of(groups) {
            return Err(Error::shape(format!(
                "an input {x} with windows of {} axes, {outputs} outputs and {groups} groups",
                window.axes
            )));
        }
        let input = window.of(x);
        let Some(output) = window.output(input) else {
            return Err(Error::shape(format!("windows {:?} do not fit into {x}", window.kernel)));
        };
        let flat = |[_, height, width]: [usize; 3]| [height, width];
        if x[1] == 0 || input.contains(&0) {
            return Err(Error::shape(format!("an input {x} without channels or elements")));
        }
        Ok(Geometry {
            images: x[0],
            groups,
            channels: x[1] / groups,
            outputs: outputs / groups,
            input: flat(input),
            output: flat(output),
            kernel: flat(window.kernel),
            stride: flat(window.stride),
            dilation: flat(window.dilation),
            before: [window.padding[1][0], window.padding[2][0]],
        })
    }

    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    pub(super) fn layout(&self) -> Layout {
        let fours = self.channels.div_ceil(FOUR);
        Layout { groups: self.groups, outputs: self.outputs, fours, taps: self.taps() }
    }

    pub(super) fn input_area(&self) -> usize {
        self.input[0] * self.input[1]
    }

    pub(super) fn output_area(&self) -> usize {
        self.output[0] * self.output[1]
    }
}

/// Where the fours of a group of a picture lie.
#[derive(Clone, Debug)]
pub(super) struct Planes {
    geometry: Geometry,
    phases: Vec<Phase>,
    /// Rows and columns of a phase.
    size: [usize; 2],
    /// Where each step of a sum begins, in fours.
    pub(super) offsets: Vec<usize>,
}

/// Part of a picture with the same remainders of rows and columns.
#[derive(Clone, Debug)]
struct Phase {
    remainders: [usize; 2],
    /// The part that is no padding.
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Planes {
    pub(super) fn new(geometry: Geometry) -> Planes {
        let Geometry { kernel, stride, dilation, output, .. } = geometry;
        let mut used: Vec<[usize; 2]> = Vec::new();
        let mut places = Vec::with_capacity(geometry.taps());
        for y in 0..kernel[0] {
            for x in 0..kernel[1] {
                let at = [y * dilation[0], x * dilation[1]];
                let phase = [at[0] % stride[0], at[1] % stride[1]];
                let index = used.iter().position(|own| *own == phase).unwrap_or_else(|| {
                    used.push(phase);
                    used.len() - 1
                });
                places.push((index, [at[0] / stride[0], at[1] / stride[1]]));
            }
        }
        let reach = |axis: usize| places.iter().map(|(_, place)| place[axis]).max().unwrap_or(0);
        let size = [reach(0) + output[0], reach(1) + output[1]];
        let area = size[0] * size[1];
        let plane = used.len() * area;
        let offsets = (0..geometry.channels.div_ceil(FOUR)).flat_map(|four| {
            places.iter().map(move |(phase, [y, x])| four * plane + phase * area + y * size[1] + x)
        });
        let offsets = offsets.collect();
        let phases = used.into_iter().map(|remainders| {
            let inside = |axis: usize| {
                // The element of index `i` is that of the padded axis at `i * stride + remainder`.
                let from = |place: usize| {
                    let own = place.saturating_sub(remainders[axis]);
                    own.div_ceil(stride[axis]).min(size[axis])
                };
                let before = geometry.before[axis];
                from(before)..from(before + geometry.input[axis])
            };
            Phase { remainders, rows: inside(0), columns: inside(1) }
        });
        let phases = phases.collect();
        Planes { geometry, phases, size, offsets }
    }

    /// From one row of positions to the next.
    pub(super) fn row(&self) -> usize {
        self.size[1]
    }

    /// Positions, those between rows too.
    pub(super) fn positions(&self) -> usize {
        let [height, width] = self.geometry.output;
        (height - 1) * self.row() + width
    }

    /// Bytes of the fours of a group, with room after them.
    pub(super) fn bytes(&self) -> usize {
        let fours = self.geometry.channels.div_ceil(FOUR);
        FOUR * (fours * self.phases.len() * self.size[0] * self.size[1] + ROOM)
    }

    /// Takes a group `[C, H, W]` apart. What is around it stands for zero.
    pub(super) fn fill(&self, input: &[u8], zero_point: u8, out: &mut [u8]) {
        let area = self.geometry.input_area();
        let channels: Vec<&[u8]> = input.chunks_exact(area).collect();
        let of_phase = FOUR * self.size[0] * self.size[1];
        let (whole, room) = out.split_at_mut(out.len() - FOUR * ROOM);
        room.fill(0);
        let outs = whole.chunks_exact_mut(of_phase * self.phases.len());
        for (channels, out) in channels.chunks(FOUR).zip(outs) {
            // Weights of channels that do not exist are zero.
            let four = std::array::from_fn(|index| channels[index.min(channels.len() - 1)]);
            for (phase, out) in self.phases.iter().zip(out.chunks_exact_mut(of_phase)) {
                self.fill_phase(phase, four, zero_point, out);
            }
        }
    }

    fn fill_phase(&self, phase: &Phase, four: [&[u8]; FOUR], zero_point: u8, out: &mut [u8]) {
        let Geometry { stride, before, input, .. } = self.geometry;
        let Phase { remainders, rows, columns } = phase;
        let first = (columns.start * stride[1] + remainders[1]).saturating_sub(before[1]);
        for (row, out) in out.chunks_exact_mut(FOUR * self.size[1]).enumerate() {
            if !rows.contains(&row) || columns.is_empty() {
                out.fill(zero_point);
                continue;
            }
            out[..FOUR * columns.start].fill(zero_point);
            out[FOUR * columns.end..].fill(zero_point);
            let start = (row * stride[0] + remainders[0] - before[0]) * input[1] + first;
            let reach = (columns.len() - 1) * stride[1] + 1;
            let rows = four.map(|plane| &plane[start..start + reach]);
            let out = &mut out[FOUR * columns.start..FOUR * columns.end];
            match stride[1] {
                1 => interleave(rows, 1, out),
                stride => interleave(rows, stride, out),
            }
        }
    }
}

/// Puts every `stride`-th byte of four rows side by side.
#[inline(always)]
fn interleave([a, b, c, d]: [&[u8]; FOUR], stride: usize, out: &mut [u8]) {
    let (a, b) = (a.iter().step_by(stride), b.iter().step_by(stride));
    let (c, d) = (c.iter().step_by(stride), d.iter().step_by(stride));
    let fours = out.chunks_exact_mut(FOUR);
    for ((((four, &a), &b), &c), &d) in fours.zip(a).zip(b).zip(c).zip(d) {
        four.copy_from_slice(&[a, b, c, d]);
    }
}

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that hold anything, for as long as `work` runs: those of an earlier call on this thread.
pub(super) fn with_bytes<R>(count: usize, work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut bytes = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if bytes.len() < count {
        bytes.resize(count, 0);
    }
    let result = work(&mut bytes[..count]);
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARE_MAX && bytes.len() <= BYTES_MAX {
            spare.push(bytes);
        }
    });
    result
}

/// Spare bytes that a thread keeps.
const SPARE_MAX: usize = 4;
const BYTES_MAX: usize = 8 << 20;
