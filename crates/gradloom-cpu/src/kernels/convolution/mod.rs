//! Convolutions and their two transposes, parallel over images (over channels for a single image),
//! with the epilogue run on each image just computed. An image may be a sequence, a picture or a volume,
//! see [`Geometry`].

mod depthwise;
mod forward;
mod geometry;
mod input_gradient;
mod pack;
mod tile;
mod transposed;
mod weight_gradient;

use gradloom_plan::{Convolution, Kernel};
use gradloom_tensor::{Error, Result};

use self::forward::Forward;
use self::geometry::Geometry;
use self::input_gradient::InputGradient;
use self::transposed::Transposed;
use super::lanes::{Ordered, Stored};
use super::reading::Reading;
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};
use crate::kernels::executable::{Context, Executable, InPlace, lane_dtype};
use crate::vector::Real;

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

    fn run_lanes<T: Real + Ordered>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let [first, second] =
            [0, 1].map(|input| Stored::new(context.level, inputs[input], self.readings[input]));
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
                let division = division(outputs_of_image, 1);
                let weights = second.part::<T>(0..second.len());
                let weights = weights.get();
                self.epilogue.run(context, inputs, outputs, division, |images, out| {
                    let out: &mut [T] = bytemuck::cast_slice_mut(out);
                    for (image, out) in images.zip(out.chunks_exact_mut(outputs_of_image)) {
                        let input =
                            first.part(image * inputs_of_image..(image + 1) * inputs_of_image);
                        depthwise::forward(level, geometry, weights, input.get(), out);
                    }
                });
                Ok(())
            }
            Kind::Forward => {
                let forward = Forward::new::<T>(context, *geometry, second)?;
                let parts = forward.parts(wanted);
                let division = division(outputs_of_image, parts);
                self.epilogue.run(context, inputs, outputs, division, |units, out| {
                    let out: &mut [T] = bytemuck::cast_slice_mut(out);
                    let outs = out.chunks_exact_mut((outputs_of_image / parts).max(1));
                    for (unit, out) in units.zip(outs) {
                        let (image, part) = (unit / parts, unit % parts);
                        let input =
                            first.part(image * inputs_of_image..(image + 1) * inputs_of_image);
                        forward.image::<T>(level, input.get(), (part, parts), out);
                    }
                });
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
}

impl Executable for Convolve {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        match self.lane {
            Lane::F64 => self.run_lanes::<f64>(context, inputs, outputs),
            _ => self.run_lanes::<f32>(context, inputs, outputs),
        }
    }
}
