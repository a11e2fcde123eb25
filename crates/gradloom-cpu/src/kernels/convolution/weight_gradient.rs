//! `ConvolutionWeight`: for each element of a window and each output channel, the sum over all images
//! and positions of input times gradient.
//!
//! Images are taken in chunks, each with sums of its own; chunks depend on the shapes alone and are
//! combined in order, so the result is the same with any number of threads. In a chunk positions are added
//! in blocks, and many blocks pairwise.

use gradloom_tensor::Result;

use super::correlation::Correlation;
use super::geometry::Geometry;
use super::tile::{BLOCKS_MAX, DEPTH, add};
use crate::kernels::cascade::Cascade;
use crate::kernels::executable::{Context, TASK_MIN};
use crate::kernels::lanes::Stored;
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::transpose::transpose;
use crate::vector::{Real, tiling};

/// Most chunks of images.
const CHUNKS_MAX: usize = 8;
/// Bytes of all chunks' sums, at most: they should stay in the cache until they are combined.
const PARTIAL_MAX: usize = 4 << 20;
/// Elements of sums that a task works on, roughly.
const SUMS: usize = 32 * 1024;

/// How the work is divided.
struct Division {
    images: usize,
    chunk: usize,
    chunks: usize,
    /// Window elements of a part, and the number of parts.
    part: usize,
    parts: usize,
    /// Output channels of a group, rounded up to whole vectors.
    lanes: usize,
}

impl Division {
    fn new<T: Real>(level: Level, geometry: &Geometry, images: usize) -> Division {
        let inner = geometry.inner();
        let lanes = geometry.outputs.next_multiple_of(tiling::<T>(level).lanes);
        let sums = geometry.groups * inner * lanes * size_of::<T>();
        let chunks = CHUNKS_MAX.min(PARTIAL_MAX / sums.max(1)).clamp(1, images.max(1));
        let chunk = images.div_ceil(chunks).max(1);
        let few = CHUNKS_MAX.div_ceil(images.div_ceil(chunk).max(1) * geometry.groups);
        let parts = (inner * lanes / SUMS).max(few).clamp(1, CHUNKS_MAX);
        let part = inner.div_ceil(parts).next_multiple_of(12);
        Division {
            images,
            chunk,
            chunks: images.div_ceil(chunk).max(1),
            part,
            parts: inner.div_ceil(part),
            lanes,
        }
    }
}

/// Computes `out` (`[O, C / groups, KH, KW]`) from all images.
///
/// # Errors
/// When there is no memory for the sums.
pub(super) fn weight_gradient<T: Real>(
    context: &Context<'_>,
    geometry: &Geometry,
    images: usize,
    operands: [Stored<'_>; 2],
    out: &mut [T],
) -> Result<()> {
    let division = Division::new::<T>(context.level, geometry, images);
    let inner = geometry.inner();
    let sums = geometry.groups * division.parts * division.part * division.lanes;
    let mut partial = context.pool.temporary(division.chunks * sums * size_of::<T>())?;
    let unit = division.part * division.lanes * size_of::<T>();
    let units = division.chunks * geometry.groups * division.parts;
    let work = images * geometry.output_volume() * inner * geometry.groups;
    let threads = context.threads_for(work / 8);
    parallel::split(threads, &mut [partial.get_mut()], &[unit], units, 1, |range, parts| {
        let sums: &mut [T] = bytemuck::cast_slice_mut(parts[0]);
        for (unit, sums) in range.zip(sums.chunks_exact_mut(division.part * division.lanes)) {
            let (rest, part) = (unit / division.parts, unit % division.parts);
            let (chunk, group) = (rest / geometry.groups, rest % geometry.groups);
            sums.fill(T::zeroed());
            let task = Task { geometry, division: &division, group, part };
            let images = chunk * division.chunk..((chunk + 1) * division.chunk).min(images);
            task.run(context.level, images, operands, sums);
        }
    });
    let all: &mut [T] = bytemuck::cast_slice_mut(partial.get_mut());
    let (first, others) = all.split_at_mut(sums);
    if division.chunks > 1 {
        let threads = context.threads_for(division.chunks * sums);
        let per_task = parallel::grain(threads, sums, division.chunks, TASK_MIN);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(first);
        parallel::split(
            threads,
            &mut [bytes],
            &[size_of::<T>()],
            sums,
            per_task,
            |range, parts| {
                let total: &mut [T] = bytemuck::cast_slice_mut(parts[0]);
                for chunk in others.chunks_exact(sums) {
                    add(context.level, &chunk[range.clone()], total);
                }
            },
        );
    }
    let rows = geometry.groups * geometry.outputs;
    let out: &mut [u8] = bytemuck::cast_slice_mut(out);
    let threads = context.threads_for(rows * inner);
    let per_task = if geometry.groups > 1 {
        geometry.outputs
    } else {
        parallel::grain(threads, rows, inner, TASK_MIN).next_multiple_of(8)
    };
    let bytes = inner * size_of::<T>();
    parallel::split(threads, &mut [out], &[bytes], rows, per_task, |range, parts| {
        let out: &mut [T] = bytemuck::cast_slice_mut(parts[0]);
        let (group, output) = (range.start / geometry.outputs, range.start % geometry.outputs);
        let at = group * division.parts * division.part * division.lanes + output;
        let size = [inner, range.len()];
        transpose(context.level, &first[at..], division.lanes, size, out, inner);
    });
    Ok(())
}

/// One group and part over some images.
struct Task<'a> {
    geometry: &'a Geometry,
    division: &'a Division,
    group: usize,
    part: usize,
}

impl Task<'_> {
    fn run<T: Real>(
        &self,
        level: Level,
        images: std::ops::Range<usize>,
        [input, gradient]: [Stored<'_>; 2],
        sums: &mut [T],
    ) {
        let (geometry, division) = (self.geometry, self.division);
        let (inputs, outputs) = (geometry.input_volume(), geometry.output_volume());
        debug_assert!(images.end <= division.images);
        let offsets = geometry.offsets();
        let first = self.part * division.part;
        let offsets = &offsets[first..(first + division.part).min(offsets.len())];
        let mut padded = Scratch::take::<T>(geometry.channels * geometry.padded_area());
        let mut transposed = Scratch::take::<T>(geometry.output_area() * division.lanes);
        let (area, depth) = (geometry.output_area(), geometry.depth.output);
        let mut parts = Cascade::default();
        let mut added = 0;
        for image in images {
            let at = image * geometry.groups + self.group;
            let input = input.part::<T>(at * inputs..(at + 1) * inputs);
            let gradient = gradient.part::<T>(at * outputs..(at + 1) * outputs);
            for picture in 0..depth {
                geometry.pad(input.get(), picture, padded.get_mut());
                let gradient = &gradient.get()[picture * area..];
                let transposed = transposed.get_mut::<T>();
                if geometry.outputs < division.lanes {
                    transposed.fill(T::zeroed());
                }
                let size = [geometry.outputs, area];
                transpose(level, gradient, depth * area, size, transposed, division.lanes);
                let steps = [geometry.stride[0] * geometry.padded[1], geometry.stride[1]];
                for band in bands(geometry.output) {
                    let blocks = (band.size[0] * band.size[1]).div_ceil(DEPTH);
                    if added + blocks > BLOCKS_MAX && added > 0 {
                        parts.push_row(sums, |values, sums| add(level, values, sums));
                        sums.fill(T::zeroed());
                        added = 0;
                    }
                    added += blocks;
                    let first = (band.y * geometry.output[1] + band.x) * division.lanes;
                    Correlation {
                        gradient: &transposed[first..],
                        channels: division.lanes,
                        source: &padded.get::<T>()[band.y * steps[0] + band.x * steps[1]..],
                        offsets,
                        size: band.size,
                        steps,
                        sums,
                    }
                    .run(level);
                }
            }
        }
        if parts.is_empty() {
            return;
        }
        parts.push_row(sums, |values, sums| add(level, values, sums));
        parts.write_total(sums, |values, sums| add(level, values, sums));
    }
}

/// Neighbouring positions of a plane: whole rows, or a part of one.
struct Band {
    y: usize,
    x: usize,
    size: [usize; 2],
}

/// A plane in as many positions at a time as may be added block after block.
fn bands([height, width]: [usize; 2]) -> Vec<Band> {
    let most = DEPTH * BLOCKS_MAX;
    if width <= most {
        let rows = (most / width.max(1)).max(1);
        let first_rows = (0..height).step_by(rows);
        return first_rows.map(|y| Band { y, x: 0, size: [rows.min(height - y), width] }).collect();
    }
    (0..height)
        .flat_map(|y| (0..width).step_by(most).map(move |x| (y, x)))
        .map(|(y, x)| Band { y, x, size: [1, most.min(width - x)] })
        .collect()
}
