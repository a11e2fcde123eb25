//! Convolutions and their two transposes, parallel over images (over channels for a single image),
//! with the epilogue run on each image just computed. An image may be a sequence, a picture or a volume,
//! see [`Geometry`].

mod depthwise;
mod depthwise_forward;
mod forward;
mod geometry;
mod input_gradient;
mod pack;
mod phases;
mod tile;
mod transposed;
mod weight_gradient;
mod winograd;
mod by_winograd;
mod correlation;

use std::ops::Range;

use gradloom_plan::{Convolution, Kernel};
use gradloom_tensor::{Error, Result};

use self::depthwise_forward::Depthwise;
use self::forward::Forward;
use self::geometry::Geometry;
use self::input_gradient::InputGradient;
use self::pack::by_output;
use self::tile::Chain;
use self::transposed::Transposed;
use super::lanes::{Ordered, Stored};
use super::reading::Reading;
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};
use crate::kept::Packing;
use crate::kernels::executable::{Context, Executable, InPlace, lane_dtype};
use crate::memory::Temporary;
use crate::simd::Level;
use crate::tile::TILE;
use crate::vector::Real;

/// Positions of outputs up to which packing the weights takes a share of the time that is worth memory of
/// the same size again.
const KEPT_POSITIONS: usize = 32 * 1024;

/// Bytes of results that an epilogue finds in the cache again.
const PART_BYTES: usize = 192 * 1024;
/// Least multiplications of a task.
const TASK_WORK: usize = 128 * 1024;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Forward,
    Input,
    Weight,
}

/// Computes one image, or a part of one, from another.
type ImageFunction<'a, T> = Box<dyn Fn(&[T], usize, &mut [T]) + Sync + 'a>;

pub(crate) struct Convolve {
    kind: Kind,
    geometry: Geometry,
    images: usize,
    readings: [Reading; 2],
    lane: Lane,
    epilogue: Epilogue,
}

impl Convolve {
    /// Prepares a kernel.
    ///
    /// # Errors
    /// For integers, which nothing convolves.
    pub(crate) fn new(
        kernel: &Kernel,
        in_place: &InPlace,
        kind: Kind,
        convolution: &Convolution,
    ) -> Result<Convolve> {
        let dtype = convolution.factors.dtype;
        if !dtype.is_float() {
            let message = format!("convolution: {dtype} is not supported on the CPU; use floats");
            return Err(Error::unsupported(message));
        }
        Ok(Convolve {
            kind,
            geometry: Geometry::new(convolution),
            images: convolution.batch,
            readings: Reading::of_factors(kernel, &convolution.factors),
            lane: Lane::of(dtype),
            epilogue: Epilogue::new(kernel, in_place, lane_dtype(Lane::of(dtype))),
        })
    }

    fn stored<'a>(&self, context: &Context<'_>, inputs: &[&'a [u8]]) -> [Stored<'a>; 2] {
        [0, 1].map(|input| Stored::new(context.level, inputs[input], self.readings[input]))
    }

    /// How it is computed by transforms, if that is worth it.
    fn winograd(&self) -> Option<winograd::Shape> {
        match self.kind {
            _ if self.lane != Lane::F32 || self.images == 0 => None,
            Kind::Forward => winograd::Shape::forward(&self.geometry, self.images),
            Kind::Input => winograd::Shape::gradient(&self.geometry, self.images),
            Kind::Weight => None,
        }
    }

    /// Packs the weights, if that is how they are read.
    fn pack<T: Real>(
        &self,
        context: &Context<'_>,
        weights: Stored<'_>,
    ) -> Result<Option<Temporary>> {
        if let Some(shape) = self.winograd() {
            return shape.transform_weights(context, weights).map(Some);
        }
        if self.kind == Kind::Forward && !depthwise::applies(&self.geometry) {
            return by_output::<T>(context, &self.geometry, weights).map(Some);
        }
        Ok(None)
    }

    /// Makes channels of images, of the output or of the gradient of the input, with `make(image, channels, out,
    /// chain)`; channels begin at multiples of `grain`. What it makes with a chain is finished.
    fn run_channels<T: Real>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        (grain, most, takes_chains): (usize, usize, bool),
        make: impl Fn(usize, Range<usize>, &mut [T], Chain<'_, T>) + Sync,
    ) {
        let geometry = &self.geometry;
        let (channels, unit_elements) = match self.kind {
            Kind::Input => (geometry.groups * geometry.channels, geometry.input_area()),
            _ => {
                (geometry.groups * geometry.outputs, geometry.output_area() * geometry.depth.output)
            }
        };
        let work = geometry.groups * geometry.output_volume() * geometry.inner();
        let threads = context.threads_for(self.images * work / 8);
        // A task makes some images, or some channels of one: those that a thread gets of few images, and no
        // more than its epilogue finds in the cache again. The bits do not depend on it.
        let takes_chains = takes_chains && self.epilogue.is_row_chain(unit_elements);
        let part = match takes_chains {
            // No epilogue reads what a task has made.
            true => {
                let blocks = channels.div_ceil(grain);
                let even = even_blocks(blocks, threads.div_ceil(self.images));
                even.min(TILE / grain).max(1) * grain
            }
            false => {
                let share = channels.div_ceil(threads.div_ceil(self.images));
                let part = (most / (unit_elements * size_of::<T>()).max(1)).min(share);
                part.max(1).next_multiple_of(grain)
            }
        };
        let (rows, per_task) = match part < channels {
            true => (self.images, part),
            false => (1, channels * TASK_WORK.div_ceil(work.max(1)).clamp(1, self.images.max(1))),
        };
        let division = Division { units: self.images * channels, unit_elements, per_task, threads };
        let work = (rows, division, takes_chains);
        self.epilogue.run_rows(context, inputs, outputs, work, |units, out, chain| {
            let mut out: &mut [T] = bytemuck::cast_slice_mut(out);
            let mut next = units.start;
            while next < units.end {
                let (image, first) = (next / channels, next % channels);
                let last = channels.min(first + units.end - next);
                let (own, rest) = out.split_at_mut((last - first) * unit_elements);
                make(image, first..last, own, chain.map(|chain| (chain, [next - units.start, 0])));
                (out, next) = (rest, next + last - first);
            }
        });
    }

    fn run_lanes<T: Real + Ordered>(
        &self,
        context: &Context<'_>,
        packed: Option<&Temporary>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let [first, second] = self.stored(context, inputs);
        let geometry = &self.geometry;
        let inputs_of_image = geometry.groups * geometry.input_volume();
        let outputs_of_image = geometry.groups * geometry.output_volume();
        let work = outputs_of_image * geometry.inner();
        let threads = context.threads_for(self.images * work / 8);
        let per_task = (128 * 1024usize).div_ceil(work.max(1)).clamp(1, self.images.max(1));
        // Few images are cut in parts of channels; the bits do not depend on it.
        let wanted = if threads > 1 { (2 * threads).div_ceil(self.images.max(1)) } else { 1 };
        let division = |unit_elements: usize, parts: usize| Division {
            units: self.images * parts,
            unit_elements: unit_elements / parts,
            per_task,
            threads,
        };
        let level = context.level;
        let elements = geometry.groups * geometry.outputs * geometry.inner();
        if self.images * work * inputs_of_image == 0 {
            // Sums of nothing, or of padding alone: no channels, images, windows or pixels.
            if self.kind == Kind::Weight {
                return self.epilogue.run_whole(context, inputs, outputs, elements, |out| {
                    out.fill(0);
                    Ok(())
                });
            }
            let of_image =
                if self.kind == Kind::Input { inputs_of_image } else { outputs_of_image };
            let division = division(of_image, 1);
            self.epilogue.run(context, inputs, outputs, division, |_, out| out.fill(0));
            return Ok(());
        }
        match self.kind {
            Kind::Weight => self.epilogue.run_whole(context, inputs, outputs, elements, |out| {
                let out: &mut [T] = bytemuck::cast_slice_mut(out);
                let operands = [first, second];
                if depthwise::applies(geometry) {
                    depthwise::weight(context, geometry, self.images, operands, out);
                    return Ok(());
                }
                weight_gradient::weight_gradient(context, geometry, self.images, operands, out)
            }),
            Kind::Forward if depthwise::applies(geometry) => {
                let weights = second.part::<T>(0..second.len());
                let weights = weights.get();
                let depthwise = Depthwise::new::<T>(level, geometry);
                self.run_channels(
                    context,
                    inputs,
                    outputs,
                    (geometry.outputs, PART_BYTES, depthwise.takes_chains()),
                    |image, channels, out, chain| {
                        let groups =
                            channels.start / geometry.outputs..channels.end / geometry.outputs;
                        let (volume, start) = (geometry.input_volume(), image * inputs_of_image);
                        let input = start + groups.start * volume..start + groups.end * volume;
                        let weights = &weights[channels.start * geometry.inner()..];
                        depthwise.groups(weights, first.part(input).get(), out, chain);
                    },
                );
                Ok(())
            }
            Kind::Forward => {
                let own;
                let packed = match packed {
                    Some(packed) => packed,
                    None => {
                        own = by_output::<T>(context, geometry, second)?;
                        &own
                    }
                };
                let forward = Forward::new::<T>(level, *geometry, packed);
                self.run_channels(
                    context,
                    inputs,
                    outputs,
                    (forward.grain(), PART_BYTES, forward.takes_chains::<T>()),
                    |image, channels, out, chain| {
                        let input =
                            first.part(image * inputs_of_image..(image + 1) * inputs_of_image);
                        forward.image::<T>(level, image, input.get(), channels, out, chain);
                    },
                );
                Ok(())
            }
            Kind::Input => {
                // Depthwise loops read weights as they are, tiles pack them.
                let all = if depthwise::applies(geometry) { first.len() } else { 0 };
                let weights = first.part::<T>(0..all);
                let (image, parts) = self.input_gradient(context, first, weights.get(), wanted)?;
                let division = division(inputs_of_image, parts);
                self.epilogue.run(context, inputs, outputs, division, |units, out| {
                    let out: &mut [T] = bytemuck::cast_slice_mut(out);
                    let outs = out.chunks_exact_mut((inputs_of_image / parts).max(1));
                    for (unit, out) in units.zip(outs) {
                        let first = unit / parts * outputs_of_image;
                        let gradient = second.part(first..first + outputs_of_image);
                        image(gradient.get(), unit % parts, out);
                    }
                });
                Ok(())
            }
        }
    }

    /// The function of one image's gradient for weights as they are stored, and as lanes where they are
    /// read as such, and in how many parts it does it.
    fn input_gradient<'a, T: Real + Ordered>(
        &'a self,
        context: &Context<'_>,
        stored: Stored<'_>,
        weight: &'a [T],
        wanted: usize,
    ) -> Result<(ImageFunction<'a, T>, usize)> {
        let (geometry, level) = (&self.geometry, context.level);
        if depthwise::applies(geometry) {
            let image: ImageFunction<'a, T> = Box::new(move |gradient, _, out| {
                depthwise::input(level, geometry, weight, gradient, out);
            });
            return Ok((image, 1));
        }
        if geometry.stride == [1, 1] {
            let transposed = Transposed::new::<T>(context, *geometry, stored)?;
            let parts = transposed.parts(wanted);
            let image: ImageFunction<'a, T> = Box::new(move |gradient, part, out| {
                transposed.image(level, gradient, (part, parts), out);
            });
            return Ok((image, parts));
        }
        let strided = InputGradient::new::<T>(context, *geometry, stored)?;
        Ok((Box::new(move |gradient, _, out| strided.image(level, gradient, out)), 1))
    }

    fn run_with(
        &self,
        context: &Context<'_>,
        packed: Option<&Temporary>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        if let Some(shape) = self.winograd() {
            return self.run_winograd(context, shape, packed, inputs, outputs);
        }
        match self.lane {
            Lane::F64 => self.run_lanes::<f64>(context, packed, inputs, outputs),
            _ => self.run_lanes::<f32>(context, packed, inputs, outputs),
        }
    }
}

/// Of so many blocks, how many a task makes so that threads are about equally busy.
fn even_blocks(blocks: usize, threads: usize) -> usize {
    if threads <= 1 {
        return blocks.max(1);
    }
    let sizes = [2, 3, 1].map(|tasks| blocks.div_ceil(threads * tasks).max(1));
    // Blocks of the thread that has most to do.
    let longest = |size: usize| blocks.div_ceil(size).div_ceil(threads) * size;
    sizes.into_iter().min_by_key(|&size| longest(size)).unwrap_or(1)
}

impl Executable for Convolve {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        self.run_with(context, None, inputs, outputs)
    }

    fn packing(&self, level: Level) -> Option<(usize, Packing)> {
        let Geometry { groups, channels, outputs, .. } = self.geometry;
        let positions = self.images * self.geometry.output_area() * self.geometry.depth.output;
        let forward = self.kind == Kind::Forward && !depthwise::applies(&self.geometry);
        if !forward || positions > KEPT_POSITIONS {
            return None;
        }
        let Reading { stored, dtype } = self.readings[1];
        let (by, sizes) = match self.winograd() {
            Some(shape) => ("winograd", shape.packed_by()),
            None => ("convolution", [groups, outputs, self.geometry.inner()].map(|n| n as isize)),
        };
        let [a, b, c] = sizes;
        let sizes = [a, b, c, channels as isize, i64::from(self.lane == Lane::F64) as isize];
        Some((1, Packing { by, level: level.name(), dtypes: [stored, dtype], sizes }))
    }

    fn settle(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        constant: &[bool],
    ) -> Result<Option<Temporary>> {
        if !constant[1] || self.kind != Kind::Forward {
            return Ok(None);
        }
        let [_, weights] = self.stored(context, inputs);
        match self.lane {
            Lane::F64 => self.pack::<f64>(context, weights),
            _ => self.pack::<f32>(context, weights),
        }
    }

    fn run_settled(
        &self,
        context: &Context<'_>,
        settled: &Temporary,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        self.run_with(context, Some(settled), inputs, outputs)
    }
}
