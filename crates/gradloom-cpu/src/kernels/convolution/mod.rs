//! Convolutions and their two transposes, parallel over images (over channels for a single image),
//! with the epilogue run on each image just computed.

mod depthwise;
mod forward;
mod geometry;
mod input_gradient;
mod tile;
mod transposed;
mod weight_gradient;

use gradloom_plan::{Convolution, Kernel};
use gradloom_tensor::{DType, Error, Result};

use self::forward::Forward;
use self::geometry::Geometry;
use self::input_gradient::InputGradient;
use self::transposed::Transposed;
use super::lanes::{Ordered, lanes_of};
use super::{Aliases, Context, Executable, lane_dtype};
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};
use crate::vector::Real;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Forward,
    Input,
    Weight,
}

/// Computes one image from another.
type ImageFunction<'a, T> = Box<dyn Fn(&[T], &mut [T]) + Sync + 'a>;

pub(crate) struct Convolve {
    kind: Kind,
    geometry: Geometry,
    images: usize,
    dtype: DType,
    epilogue: Epilogue,
}

impl Convolve {
    /// Prepares a kernel.
    ///
    /// # Errors
    /// For integers, which nothing convolves.
    pub(crate) fn new(
        kernel: &Kernel,
        aliases: &Aliases,
        kind: Kind,
        convolution: &Convolution,
    ) -> Result<Convolve> {
        let dtype = kernel.inputs[0].dtype;
        if !dtype.is_float() {
            let message = format!("convolution: {dtype} is not supported on the CPU; use floats");
            return Err(Error::unsupported(message));
        }
        Ok(Convolve {
            kind,
            geometry: Geometry::new(convolution),
            images: convolution.batch,
            dtype,
            epilogue: Epilogue::new(kernel, aliases, lane_dtype(Lane::of(dtype))),
        })
    }

    fn run_lanes<T: Real + Ordered>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let first = lanes_of::<T>(context, inputs[0], self.dtype)?;
        let second = lanes_of::<T>(context, inputs[1], self.dtype)?;
        let (first, second) = (first.get(), second.get());
        let geometry = &self.geometry;
        let work = geometry.output_area() * geometry.inner() * geometry.outputs * geometry.groups;
        let inputs_of_image = geometry.groups * geometry.channels * geometry.input_area();
        let outputs_of_image = geometry.groups * geometry.outputs * geometry.output_area();
        let threads = context.threads_for(self.images * work / 8);
        let per_task = (128 * 1024usize).div_ceil(work.max(1)).clamp(1, self.images.max(1));
        let division = |unit_elements: usize| Division {
            units: self.images,
            unit_elements,
            per_task,
            threads,
        };
        let level = context.level;
        match self.kind {
            Kind::Weight => {
                let elements = geometry.groups * geometry.outputs * geometry.inner();
                self.epilogue.run_whole(context, inputs, outputs, elements, |out| {
                    let out: &mut [T] = bytemuck::cast_slice_mut(out);
                    if depthwise::applies(geometry) {
                        depthwise::weight(context, geometry, self.images, first, second, out);
                        return Ok(());
                    }
                    weight_gradient::weight_gradient(
                        context,
                        geometry,
                        self.images,
                        first,
                        second,
                        out,
                    )
                })
            }
            Kind::Forward if depthwise::applies(geometry) => {
                let division = division(outputs_of_image);
                self.epilogue.run(context, inputs, outputs, division, |images, out| {
                    let out: &mut [T] = bytemuck::cast_slice_mut(out);
                    let input = &first[images.start * inputs_of_image..];
                    let images = input.chunks_exact(inputs_of_image.max(1));
                    for (input, out) in images.zip(out.chunks_exact_mut(outputs_of_image.max(1))) {
                        depthwise::forward(level, geometry, second, input, out);
                    }
                });
                Ok(())
            }
            Kind::Forward => {
                let kernel = geometry.kernel;
                let forward = Forward::new(level, *geometry, |output, channel, y, x| {
                    second[((output * geometry.channels + channel) * kernel[0] + y) * kernel[1] + x]
                });
                let division = division(outputs_of_image);
                self.epilogue.run(context, inputs, outputs, division, |images, out| {
                    let out: &mut [T] = bytemuck::cast_slice_mut(out);
                    let input = &first[images.start * inputs_of_image..];
                    let images = input.chunks_exact(inputs_of_image.max(1));
                    for (input, out) in images.zip(out.chunks_exact_mut(outputs_of_image.max(1))) {
                        forward.image(level, input, out);
                    }
                });
                Ok(())
            }
            Kind::Input => {
                let image = self.input_gradient(context, first);
                let division = division(inputs_of_image);
                self.epilogue.run(context, inputs, outputs, division, |images, out| {
                    let out: &mut [T] = bytemuck::cast_slice_mut(out);
                    let gradient = &second[images.start * outputs_of_image..];
                    let gradients = gradient.chunks_exact(outputs_of_image.max(1));
                    for (gradient, out) in
                        gradients.zip(out.chunks_exact_mut(inputs_of_image.max(1)))
                    {
                        image(gradient, out);
                    }
                });
                Ok(())
            }
        }
    }

    /// The function of one image's gradient for these weights.
    fn input_gradient<'a, T: Real + Ordered>(
        &'a self,
        context: &Context<'_>,
        weight: &'a [T],
    ) -> ImageFunction<'a, T> {
        let (geometry, level) = (&self.geometry, context.level);
        if depthwise::applies(geometry) {
            return Box::new(move |gradient, out| {
                depthwise::input(level, geometry, weight, gradient, out);
            });
        }
        if geometry.stride == [1, 1] {
            let transposed = Transposed::new(level, *geometry, weight);
            return Box::new(move |gradient, out| transposed.image(level, gradient, out));
        }
        let strided = InputGradient::new(level, *geometry, weight);
        Box::new(move |gradient, out| strided.image(level, gradient, out))
    }
}

impl Executable for Convolve {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        match Lane::of(self.dtype) {
            Lane::F64 => self.run_lanes::<f64>(context, inputs, outputs),
            _ => self.run_lanes::<f32>(context, inputs, outputs),
        }
    }
}
