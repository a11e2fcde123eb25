//! Lanes that leave a tile: exported values read or copied, row values repeated along their row.

use crate::convert::Lane;
use crate::scratch::Scratch;
use crate::tile::{Frame, Operand, Registers, Tile};

/// Repeats each lane `columns` times.
pub(super) fn repeat(values: &[u8], lane: Lane, columns: usize, out: &mut [u8]) {
    fn lanes<T: bytemuck::Pod>(values: &[T], columns: usize, out: &mut [T]) {
        for (row, &value) in out.chunks_exact_mut(columns.max(1)).zip(values) {
            row.fill(value);
        }
    }
    match lane.size() {
        8 => lanes::<u64>(bytemuck::cast_slice(values), columns, bytemuck::cast_slice_mut(out)),
        _ => lanes::<u32>(bytemuck::cast_slice(values), columns, bytemuck::cast_slice_mut(out)),
    }
}

/// Calls `read` with the lanes of an exported value.
pub(super) fn with_export(
    frame: &Frame<'_>,
    export: usize,
    lane: Lane,
    registers: &Registers,
    tile: &Tile<'_, '_>,
    read: impl FnOnce(&[u8]),
) {
    fn lanes<T: bytemuck::Pod>(operand: Operand<'_, T>, len: usize, read: impl FnOnce(&[u8])) {
        match operand {
            Operand::Slice(values) => read(bytemuck::cast_slice(values)),
            Operand::Scalar(value) => {
                let mut copy = Scratch::take::<T>(len);
                copy.get_mut::<T>().fill(value);
                read(copy.get());
            }
        }
    }
    match lane.size() {
        8 => lanes::<u64>(frame.export(export, registers, tile), tile.len, read),
        _ => lanes::<u32>(frame.export(export, registers, tile), tile.len, read),
    }
}

/// Copies the lanes of an exported value.
pub(super) fn export_lanes(
    frame: &Frame<'_>,
    export: usize,
    lane: Lane,
    registers: &Registers,
    tile: &Tile<'_, '_>,
    out: &mut [u8],
) {
    with_export(frame, export, lane, registers, tile, |lanes| out.copy_from_slice(lanes));
}
