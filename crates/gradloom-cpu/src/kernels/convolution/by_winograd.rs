//! Convolutions of batches of pictures by Winograd's transforms: who computes which channels of which pictures.

use gradloom_tensor::Result;

use super::{Convolve, Kind, PART_BYTES, winograd};
use crate::kernels::executable::Context;
use crate::memory::Temporary;
use crate::parallel;

impl Convolve {
    /// Runs it, with weights that were transformed before or are now.
    ///
    /// # Errors
    /// When there is no memory for transformed weights.
    pub(super) fn run_winograd(
        &self,
        context: &Context<'_>,
        shape: winograd::Shape,
        packed: Option<&Temporary>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let [first, second] = self.stored(context, inputs);
        let (weights, pictures) =
            if self.kind == Kind::Input { (first, second) } else { (second, first) };
        let own;
        let packed = match packed {
            Some(packed) => packed,
            None => {
                own = shape.transform_weights(context, weights)?;
                &own
            }
        };
        let packed: &[f32] = bytemuck::cast_slice(packed.get());
        let input = shape.input_elements();
        let picture = |image: usize| pictures.part(image * input..(image + 1) * input);
        let (level, group) = (context.level, shape.group(context.level));
        if !shape.is_small() {
            // Each task transforms the image for itself.
            let grain = (group, usize::MAX, false);
            self.run_channels(context, inputs, outputs, grain, |image, channels, out, _| {
                shape.pictures(level, packed, |_| picture(image), 1, channels, out);
            });
            return Ok(());
        }
        // Groups of channels of all images, and then the channels of each image.
        let (groups, area) = (shape.groups(level), shape.area());
        let of_group = group * self.images * area;
        let mut made = context.pool.temporary(groups * of_group * size_of::<f32>())?;
        let threads = context.threads_for(groups * of_group * 9);
        let bytes = [of_group * size_of::<f32>()];
        parallel::split(threads, &mut [made.get_mut()], &bytes, groups, 1, |range, parts| {
            let out: &mut [f32] = bytemuck::cast_slice_mut(parts[0]);
            for (index, out) in range.zip(out.chunks_exact_mut(of_group)) {
                let channels = index * group..(index + 1) * group;
                let own = channels.start..channels.end.min(shape.outputs());
                shape.pictures(level, packed, picture, self.images, own, out);
            }
        });
        let made: &[f32] = bytemuck::cast_slice(made.get());
        let grain = (1, PART_BYTES, false);
        self.run_channels(context, inputs, outputs, grain, |image, channels, out, _| {
            for (channel, out) in channels.zip(out.chunks_exact_mut(area)) {
                let own = group.min(shape.outputs() - channel / group * group);
                let plane = image * own + channel % group;
                let first = channel / group * of_group + plane * area;
                out.copy_from_slice(&made[first..first + area]);
            }
        });
        Ok(())
    }
}
