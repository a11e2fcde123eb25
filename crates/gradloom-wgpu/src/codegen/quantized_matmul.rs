//! Quantized matmul: products with matrices in blocks, all of them in one dispatch where the device
//! binds that many buffers.

use gradloom_plan::View;
use gradloom_shaders::Options;
use gradloom_tensor::{BlockFormat, DType, Result};

use super::bindings::Bindings;
use super::blocks::{self, Matrix};
use super::epilogue;
use super::quads::Quads;
use super::unit::Unit;

/// Rows of the left operand up to which a block is used for all of them at once.
const FEW_ROWS: usize = 8;

/// A matrix and its first column of the result.
#[derive(Clone, Copy)]
struct Part {
    matrix: Matrix,
    column: usize,
}

/// A tile of the product and the results of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    m: usize,
    n: usize,
    k: usize,
    /// Rows and columns of a thread.
    each: usize,
    /// Relative speed of a full tile.
    speed: usize,
}

impl Tile {
    /// From large to small; each result of a larger tile costs fewer loads.
    const ALL: [Tile; 6] = [
        Tile { m: 128, n: 128, k: 16, each: 8, speed: 10 },
        Tile { m: 64, n: 64, k: 32, each: 4, speed: 8 },
        Tile { m: 64, n: 64, k: 16, each: 4, speed: 7 },
        Tile { m: 32, n: 64, k: 16, each: 4, speed: 6 },
        Tile { m: 32, n: 32, k: 16, each: 4, speed: 5 },
        Tile { m: 16, n: 64, k: 16, each: 4, speed: 5 },
    ];

    fn threads(&self) -> usize {
        self.m * self.n / (self.each * self.each)
    }

    fn fits(&self, unit: &Unit<'_>) -> bool {
        let bytes = (self.m + self.n) * (self.k + 4) * 4;
        bytes <= unit.target.workgroup_bytes as usize
            && self.threads() <= unit.target.workgroup as usize
    }

    fn count(&self, rows: usize, parts: &[Part]) -> usize {
        let columns: usize = parts.iter().map(|part| part.matrix.rows.div_ceil(self.n)).sum();
        rows.div_ceil(self.m) * columns
    }

    /// The tile that is done soonest on a device that runs so many threads side by side.
    fn choose(unit: &Unit<'_>, rows: usize, parts: &[Part]) -> Option<Tile> {
        let side_by_side = unit.target.busy_workgroups as usize / 4 * 256;
        let time = |tile: &Tile| {
            let rounds = (tile.count(rows, parts) * tile.threads()).div_ceil(side_by_side);
            rounds * tile.each * tile.each * 1000 / tile.speed
        };
        Tile::ALL.into_iter().filter(|tile| tile.fits(unit)).min_by_key(time)
    }
}

/// Compiles a quantized matmul kernel.
pub(crate) fn compile(
    unit: &mut Unit<'_>,
    lhs: &View,
    formats: &[(BlockFormat, usize)],
) -> Result<()> {
    let mut parts = Vec::new();
    let mut column = 0;
    for (position, &(format, rows)) in formats.iter().enumerate() {
        let matrix = Matrix { operand: position + 1, format, rows, columns: lhs.shape[1] };
        matrix.check(unit)?;
        if rows > 0 {
            parts.push(Part { matrix, column });
        }
        column += rows;
    }
    let lhs = Quads { operand: 0, view: *lhs };
    let (bindings, _) = bind(unit, lhs, &parts)?;
    if bindings.storage_buffers() <= unit.target.storage_buffers_max as usize {
        return dispatch(unit, lhs, &parts);
    }
    for part in parts {
        dispatch(unit, lhs, &[part])?;
    }
    Ok(())
}

/// Bindings of all that a dispatch of these parts uses, and its epilogue.
fn bind(unit: &Unit<'_>, lhs: Quads, parts: &[Part]) -> Result<(Bindings, String)> {
    let mut bindings = Bindings::default();
    lhs.register(unit, &mut bindings)?;
    for part in parts {
        let (input, resource) = unit.input(part.matrix.operand);
        bindings.register(resource, input.dtype, false, false)?;
    }
    epilogue::on_bindings(unit, bindings, DType::F32)
}

fn dispatch(unit: &mut Unit<'_>, lhs: Quads, parts: &[Part]) -> Result<()> {
    let (mut bindings, program) = bind(unit, lhs, parts)?;
    let matrices: Vec<Matrix> = parts.iter().map(|part| part.matrix).collect();
    let (rows, inner) = (lhs.view.shape[0], lhs.view.shape[1]);
    let columns = unit.kernel.space.shape.count() / rows;
    let reads = lhs.function(unit, &mut bindings, "lhs_quad")
        + &blocks::functions(unit, &mut bindings, &matrices);
    let mut options = bindings
        .named(Options::new(), &[("ROWS", rows), ("N", columns)])
        .constant("PARTS", parts.len() as u32)
        .splice("reads", reads)
        .splice("epilogue", program);
    for (part, Part { matrix, column }) in parts.iter().enumerate() {
        let sizes = [("FIRST_COLUMN", *column), ("PART_ROWS", matrix.rows)];
        options = named_of_part(&mut bindings, options, part, &sizes);
    }
    let formats: Vec<&str> = parts.iter().map(|part| part.matrix.format.name()).collect();
    let label = format!("quantized_matmul[{rows}, {columns}] k {inner} {}", formats.join(" "));
    let wide = rows > FEW_ROWS && unit.target.may("quantized_matmul", "TILES");
    let tile = if wide { Tile::choose(unit, rows, parts) } else { None };
    match tile {
        Some(tile) => in_tiles(unit, label, tile, lhs, parts, options, bindings),
        None => by_groups(unit, label, lhs, parts, options, bindings),
    }
}

/// As [`Bindings::named`], for names that end in the number of a matrix.
fn named_of_part(
    bindings: &mut Bindings,
    options: Options,
    part: usize,
    numbers: &[(&str, usize)],
) -> Options {
    numbers.iter().fold(options, |options, &(name, value)| {
        bindings.named(options, &[(&format!("{name}_{part}"), value)])
    })
}

/// A workgroup per group of 16 rows of a matrix.
fn by_groups(
    unit: &mut Unit<'_>,
    label: String,
    lhs: Quads,
    parts: &[Part],
    mut options: Options,
    mut bindings: Bindings,
) -> Result<()> {
    let (rows, inner) = (lhs.view.shape[0], lhs.view.shape[1]);
    // Few shaders do for all numbers of rows.
    let at_once = rows.next_power_of_two().min(FEW_ROWS);
    let sets_max = unit.target.workgroup as usize / 16;
    let (mut first_group, mut units_max) = (0, 1);
    for (part, Part { matrix, .. }) in parts.iter().enumerate() {
        let sixteens = unit_sixteens(matrix, sets_max);
        let units = inner / (16 * sixteens);
        units_max = units_max.max(units);
        let sizes =
            [("FIRST_GROUP", first_group), ("PART_GROUPS", matrix.groups()), ("UNITS", units)];
        options = named_of_part(&mut bindings, options, part, &sizes)
            .constant(&format!("SIXTEENS_{part}"), sixteens as u32);
        first_group += matrix.groups();
    }
    // Sets of threads that end together.
    let sets = units_max.div_ceil(units_max.div_ceil(sets_max));
    let groups = first_group * rows.div_ceil(at_once);
    let options = bindings
        .named(options, &[("GROUPS", first_group)])
        .constant("WORKGROUP", 16 * sets as u32)
        .constant("M", at_once as u32)
        .constant("SPLITS", sets as u32);
    let label = format!("{label} by {sets} sets");
    unit.dispatch("quantized_matmul_few.wgsl", label, options, bindings, groups)
}

/// How many 16 numbers a thread takes at once: formats of 256 share words among 64 or 128 numbers.
fn unit_sixteens(matrix: &Matrix, sets_max: usize) -> usize {
    match matrix.format.elements() {
        256 if matrix.columns / 128 >= sets_max => 8,
        256 => 4,
        // Blocks of 32.
        _ => 2,
    }
}

fn in_tiles(
    unit: &mut Unit<'_>,
    label: String,
    tile: Tile,
    lhs: Quads,
    parts: &[Part],
    mut options: Options,
    mut bindings: Bindings,
) -> Result<()> {
    let (rows, inner) = (lhs.view.shape[0], lhs.view.shape[1]);
    let mut first_tile = 0;
    for (part, Part { matrix, .. }) in parts.iter().enumerate() {
        let tiles = matrix.rows.div_ceil(tile.n);
        let sizes = [("FIRST_TILE", first_tile), ("PART_TILES", tiles)];
        options = named_of_part(&mut bindings, options, part, &sizes);
        first_tile += tiles;
    }
    let groups = tile.count(rows, parts);
    let sizes = [("GROUPS", groups), ("TILES_M", rows.div_ceil(tile.m)), ("K", inner)];
    let options = bindings
        .named(options, &sizes)
        .define("TILES")
        .constant("WORKGROUP", tile.threads() as u32)
        .constant("TILE_M", tile.m as u32)
        .constant("TILE_N", tile.n as u32)
        .constant("TILE_K", tile.k as u32)
        .constant("EACH_M", tile.each as u32)
        .constant("EACH_N", tile.each as u32);
    let label = format!("{label} tile {}x{}", tile.m, tile.n);
    unit.dispatch("quantized_matmul.wgsl", label, options, bindings, groups)
}

#[cfg(test)]
mod tests {
    use gradloom_plan::{
        BufferRef, Instruction, Kernel, KernelInput, KernelKind, KernelOutput, Level, Operation,
        Program, Space, View,
    };
    use gradloom_tensor::blocks::interleave;
    use gradloom_tensor::{BlockFormat, DType, Shape};

    use crate::codegen::bindings::Binding;
    use crate::codegen::{self, Target};

    /// Dispatches of a product of `rows` rows with so many matrices, and the most buffers of one.
    fn dispatches(rows: usize, parts: usize) -> (usize, usize) {
        let (format, inner) = (BlockFormat::Q4_K, 512);
        let words = interleave::bytes(format, 20, inner) / 4;
        let input = |position, dtype, len| KernelInput {
            buffer: BufferRef::Input(position),
            dtype,
            len,
            node: position,
        };
        let mut inputs = vec![input(0, DType::F32, rows * inner)];
        inputs.extend((1..=parts).map(|position| input(position, DType::U32, words)));
        let (dtype, level) = (DType::F32, Level::Element);
        let accumulator = Instruction { operation: Operation::Accumulator, dtype, level };
        let shape = Shape::new(&[rows, 20 * parts]);
        let (buffer, len) = (BufferRef::Output(0), shape.count());
        let kernel = Kernel {
            kind: KernelKind::QuantizedMatmul {
                lhs: View::contiguous(Shape::new(&[rows, inner])),
                parts: vec![(format, 20); parts],
            },
            program: Program { instructions: vec![accumulator] },
            space: Space::elements(shape),
            inputs,
            outputs: vec![KernelOutput { buffer, dtype, len, value: 0, node: 2 }],
            node: 0,
            origins: vec![0],
        };
        let (all, _) = codegen::compile(&kernel, &Target::baseline(), &|buffer| buffer).unwrap();
        let storage = |binding: &&Binding| !binding.uniform;
        let most =
            all.iter().map(|dispatch| dispatch.bindings.iter().filter(storage).count()).max();
        (all.len(), most.unwrap_or(0))
    }

    #[test]
    fn matrices_share_a_dispatch_as_far_as_buffers_go() {
        for rows in [1, 20, 500] {
            assert_eq!(dispatches(rows, 3), (1, 5));
            assert_eq!(dispatches(rows, 6), (1, 8));
            assert_eq!(dispatches(rows, 7), (7, 3));
        }
    }
}
