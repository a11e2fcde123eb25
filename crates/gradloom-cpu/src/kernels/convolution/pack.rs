//! Weights in the order in which the tiles of convolutions read them, made in parallel at each run.

use gradloom_tensor::Result;

use super::geometry::Geometry;
use crate::kernels::executable::{Context, TASK_MIN};
use crate::kernels::lanes::Stored;
use crate::memory::Temporary;
use crate::parallel;
use crate::transpose::transpose;
use crate::vector::{Real, tiling};

/// Packs `blocks` blocks of `block` elements per group with `fill(group, block, out)`; groups one after
/// another.
fn pack<T: Real>(
    context: &Context<'_>,
    geometry: &Geometry,
    blocks: usize,
    block: usize,
    fill: impl Fn(usize, usize, &mut [T]) + Sync,
) -> Result<Temporary> {
    let units = geometry.groups * blocks;
    let bytes = block * size_of::<T>();
    let mut memory = context.pool.temporary(units * bytes)?;
    let threads = context.threads_for(units * block);
    let per_task = parallel::grain(threads, units, block, TASK_MIN);
    parallel::split(threads, &mut [memory.get_mut()], &[bytes], units, per_task, |range, parts| {
        let out: &mut [T] = bytemuck::cast_slice_mut(parts[0]);
        for (unit, out) in range.zip(out.chunks_exact_mut(block.max(1))) {
            fill(unit / blocks, unit % blocks, out);
        }
    });
    Ok(memory)
}

/// The packed weights of a group.
pub(super) fn of_group<'a, T: Real>(
    packed: &'a Temporary,
    geometry: &Geometry,
    group: usize,
) -> &'a [T] {
    let all: &[T] = bytemuck::cast_slice(packed.get());
    let len = all.len() / geometry.groups;
    &all[group * len..(group + 1) * len]
}

/// `[group][block of outputs][window element][output of the block]`.
///
/// # Errors
/// When there is no memory.
pub(super) fn by_output<T: Real>(
    context: &Context<'_>,
    geometry: &Geometry,
    weight: Stored<'_>,
) -> Result<Temporary> {
    let rows = tiling::<T>(context.level).rows;
    let inner = geometry.inner();
    let blocks = geometry.outputs.div_ceil(rows);
    pack(context, geometry, blocks, rows * inner, |group, block, out: &mut [T]| {
        let first = block * rows;
        let count = rows.min(geometry.outputs - first);
        if count < rows {
            out.fill(T::zeroed());
        }
        let row = group * geometry.outputs + first;
        let source = weight.part::<T>(row * inner..(row + count) * inner);
        transpose(context.level, source.get(), inner, [count, inner], out, rows);
    })
}

/// `[group][block of window elements][output][element of the block]`.
///
/// # Errors
/// When there is no memory.
pub(super) fn by_element<T: Real>(
    context: &Context<'_>,
    geometry: &Geometry,
    weight: Stored<'_>,
) -> Result<Temporary> {
    let rows = tiling::<T>(context.level).rows;
    let (inner, outputs) = (geometry.inner(), geometry.outputs);
    let blocks = inner.div_ceil(rows);
    pack(context, geometry, blocks, rows * outputs, |group, block, out: &mut [T]| {
        let first = block * rows;
        let count = rows.min(inner - first);
        for (output, out) in out.chunks_exact_mut(rows).enumerate() {
            let row = (group * outputs + output) * inner + first;
            out[..count].copy_from_slice(weight.part(row..row + count).get());
            out[count..].fill(T::zeroed());
        }
    })
}

/// `[group][position in the window][block of channels][output][channel of the block]`.
///
/// # Errors
/// When there is no memory.
pub(super) fn by_position<T: Real>(
    context: &Context<'_>,
    geometry: &Geometry,
    weight: Stored<'_>,
) -> Result<Temporary> {
    let rows = tiling::<T>(context.level).rows;
    let window = geometry.kernel[0] * geometry.kernel[1];
    let (inner, outputs) = (geometry.inner(), geometry.outputs);
    let per_position = geometry.channels.div_ceil(rows);
    let blocks = window * per_position;
    pack(context, geometry, blocks, rows * outputs, |group, block, out: &mut [T]| {
        let (position, first) = (block / per_position, block % per_position * rows);
        let count = rows.min(geometry.channels - first);
        for (output, out) in out.chunks_exact_mut(rows).enumerate() {
            let row = (group * outputs + output) * inner + first * window + position;
            let weights = weight.part::<T>(row..row + (count - 1) * window + 1);
            for (slot, values) in out[..count].iter_mut().zip(weights.get().chunks(window)) {
                *slot = values[0];
            }
            out[count..].fill(T::zeroed());
        }
    })
}
