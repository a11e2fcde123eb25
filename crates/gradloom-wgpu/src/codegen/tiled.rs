//! Tiled products: the shape of tiles, splitting of long inner axes, and the two stages of it.

use gradloom_shaders::Options;
use gradloom_tensor::{DType, Result};

use super::bindings::Bindings;
use super::epilogue::{self, Extra, dispatch_elements, with_epilogue};
use super::literal;
use super::unit::{Target, Unit};

/// Inner elements of a part at least when the inner axis is split.
const SPLIT_MIN: usize = 256;
/// Inner elements that are added one after another: longer axes are split, or their sums are moved to
/// totals every so often. Stands in `gradloom_tensor::summation`, with the parts there may be.
const BLOCK_K: usize = 4096;
/// Threads of a tile's workgroup.
pub(crate) const TILE_THREADS: u32 = 256;

/// A product of matrices that are given as functions of their indices.
pub(crate) struct Product<'a> {
    pub(crate) label: String,
    pub(crate) batch: usize,
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    /// Neighbours along k are neighbours in memory: of lhs, of rhs.
    pub(crate) k_fastest: [bool; 2],
    /// Four neighbours along m (of lhs) or n (of rhs) can be loaded as one vec4.
    pub(crate) vectors: [bool; 2],
    /// `fn lhs_at(batch, m, k)` and `fn rhs_at(batch, k, n)`, or `lhs_vector` and `rhs_vector` where
    /// the bindings are vectors: made when the bindings are known.
    pub(crate) operands: &'a OperandText<'a>,
    /// `fn place(index)`: the output element of element `index` of `[batch, m, n]`, if it is another one.
    pub(crate) place: Option<String>,
    /// Numbers that these functions name.
    pub(crate) numbers: Vec<(&'static str, usize)>,
    /// Constants that they use.
    pub(crate) options: Options,
}

/// Makes the text of the operand functions; the flags say which are vectors.
pub(crate) type OperandText<'a> = dyn Fn(&Unit<'_>, &mut Bindings, [bool; 2]) -> String + 'a;

/// Tile sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    m: usize,
    n: usize,
    k: usize,
    /// Blocks of four per thread, along m and along n.
    vectors: usize,
}

impl Product<'_> {
    /// True if four neighbours along n are four neighbours of the output, so that a thread stores them at
    /// once: whole words also of narrow elements.
    fn has_quads(&self, unit: &Unit<'_>) -> bool {
        self.place.is_none() && self.n.is_multiple_of(4) && unit.target.may("matmul", "QUADS")
    }

    /// `fn place`, and `fn epilogue` or `fn epilogue_quad`.
    fn finish(&self, unit: &Unit<'_>, bindings: Bindings) -> Result<(Bindings, String)> {
        if self.has_quads(unit) {
            return epilogue::quad_on_bindings(unit, bindings, DType::F32);
        }
        let (bindings, program) = epilogue::on_bindings(unit, bindings, DType::F32)?;
        Ok((bindings, self.place.as_deref().unwrap_or(SAME_PLACE).to_owned() + &program))
    }
}

impl Tile {
    /// The tile that wastes least, and the large one where there is work for all of the device.
    fn choose(product: &Product<'_>, unit: &Unit<'_>) -> Tile {
        let tiles =
            |tile: &Tile| product.m.div_ceil(tile.m) * product.n.div_ceil(tile.n) * product.batch;
        let large = Tile { m: 128, n: 128, k: 8, vectors: 2 };
        let covered = |tile: &Tile| tiles(tile) * tile.m * tile.n;
        let small = [(64, 64, 16), (32, 128, 8), (128, 32, 8), (16, 256, 8), (256, 16, 8)]
            .map(|(m, n, k)| Tile { m, n, k, vectors: 1 });
        let mut best = small[0];
        for tile in small {
            // Squarer tiles reuse more, so a narrow one must save a quarter of the work.
            if covered(&tile) * 4 < covered(&best) * 3 {
                best = tile;
            }
        }
        let busy = unit.target.busy_workgroups as usize / 4;
        if unit.target.may("matmul", "LARGE")
            && tiles(&large) >= busy
            && covered(&large) * 9 <= covered(&best) * 10
        {
            return large;
        }
        best
    }

    fn workgroup_bytes(&self) -> usize {
        self.k * (self.m + self.n + 8) * 4
    }
}

/// True if the device can run any tile.
pub(crate) fn fits(target: &Target) -> bool {
    // The largest of the tiles above.
    let bytes = Tile { m: 16, n: 256, k: 8, vectors: 1 }.workgroup_bytes();
    let may = target.may("matmul", "TILES");
    may && target.workgroup >= TILE_THREADS && target.workgroup_bytes as usize >= bytes
}

/// Compiles a product, in two stages if its output is small and its inner axis long.
pub(crate) fn compile(unit: &mut Unit<'_>, product: &Product<'_>) -> Result<()> {
    let mut tile = Tile::choose(product, unit);
    let tiles = product.m.div_ceil(tile.m) * product.n.div_ceil(tile.n) * product.batch;
    let busy = unit.target.busy_workgroups as usize / 2;
    let wanted = (busy / tiles.max(1)).min(product.k / SPLIT_MIN).min(64);
    let count = product.batch * product.m * product.n;
    // Parts of bounded length, if there is memory for them.
    let blocks = product.k.div_ceil(BLOCK_K);
    let fits = blocks.saturating_mul(count) <= unit.target.parts_max;
    let wanted = if fits { wanted.max(blocks) } else { wanted };
    let wanted = if unit.target.may("matmul", "SPLIT") { wanted } else { 1 };
    // One chunk of nothing where the inner axis is empty: the tiles stay zero.
    let chunk = product.k.div_ceil(wanted.max(1)).max(1).next_multiple_of(tile.k);
    let splits = product.k.div_ceil(chunk).max(1);
    if chunk > BLOCK_K {
        // Totals take as many registers again.
        tile = Tile { m: 64, n: 64, k: 16, vectors: 1 };
    }
    let chunk = chunk.next_multiple_of(tile.k);
    // A turn of the outer loop copies two tiles and multiplies them.
    let copies = (tile.k * (tile.m + tile.n)).div_ceil(4 * TILE_THREADS as usize) + 1;
    let turns = chunk / tile.k * (1 + copies + tile.k);
    unit.check_turns(&product.label, turns)?;
    if splits > 1 || !product.has_quads(unit) {
        unit.widen_outputs(|_| true);
    }
    if splits == 1 {
        return stage(unit, product, tile, chunk, 1, None);
    }
    let resource = unit.add_scratch(splits * count);
    let partial = Extra { resource, dtype: DType::F32, writable: true };
    stage(unit, product, tile, chunk, splits, Some(partial))?;
    combine(unit, product, splits, partial)
}

fn stage(
    unit: &mut Unit<'_>,
    product: &Product<'_>,
    tile: Tile,
    chunk: usize,
    splits: usize,
    partial: Option<Extra>,
) -> Result<()> {
    let mut wanted = Bindings::default();
    for (operand, vector) in product.vectors.into_iter().enumerate() {
        let (input, resource) = unit.input(operand);
        wanted.register(resource, input.dtype, vector, false)?;
    }
    let (mut bindings, finish) = match partial {
        None => product.finish(unit, wanted)?,
        Some(partial) => {
            wanted.register(partial.resource, partial.dtype, false, true)?;
            let text = epilogue::write_extra(&wanted, "write_partial", partial);
            (wanted, text)
        }
    };
    let vectors =
        [0, 1].map(|operand| product.vectors[operand] && bindings.is_vector(unit.input(operand).1));
    let (tiles_m, tiles_n) = (product.m.div_ceil(tile.m), product.n.div_ceil(tile.n));
    let groups = tiles_m * tiles_n * product.batch * splits;
    let sizes = [
        ("GROUPS", groups),
        ("BATCHES", product.batch),
        ("M", product.m),
        ("N", product.n),
        ("K", product.k),
        ("TILES_M", tiles_m),
        ("TILES_N", tiles_n),
        ("CHUNK", chunk),
    ];
    let operands = (product.operands)(unit, &mut bindings, vectors);
    let k_fastest = [(0, "LHS_K_FASTEST"), (1, "RHS_K_FASTEST")]
        .map(|(side, form)| product.k_fastest[side] && unit.target.may("matmul", form));
    let options = bindings.named(product.options.clone(), &product.numbers);
    let options = bindings
        .named(options, &sizes)
        .define("TILES")
        .define_if(tile.vectors > 1, "LARGE")
        .define_if(k_fastest[0], "LHS_K_FASTEST")
        .define_if(k_fastest[1], "RHS_K_FASTEST")
        .define_if(vectors[0], "LHS_VECTOR")
        .define_if(vectors[1], "RHS_VECTOR")
        .define_if(partial.is_some(), "SPLIT")
        .define_if(chunk > BLOCK_K, "TOTALS")
        .constant("BLOCK_K", BLOCK_K as u32)
        .define_if(partial.is_none() && product.has_quads(unit), "QUADS")
        .constant("WORKGROUP", TILE_THREADS)
        .constant("TILE_M", tile.m as u32)
        .constant("TILE_N", tile.n as u32)
        .constant("TILE_K", tile.k as u32)
        .constant("VECTORS_M", tile.vectors as u32)
        .constant("VECTORS_N", tile.vectors as u32)
        .splice("operands", operands)
        .splice("finish", finish);
    let label = format!("{} tile {}x{} splits {splits}", product.label, tile.m, tile.n);
    unit.dispatch("matmul.wgsl", label, options, bindings, groups)
}

fn combine(
    unit: &mut Unit<'_>,
    product: &Product<'_>,
    splits: usize,
    partial: Extra,
) -> Result<()> {
    let parts = Parts { count: product.batch * product.m * product.n, splits, partial };
    let label = format!("{} sum of {splits}", product.label);
    let Product { options, numbers, place, .. } = product;
    let place = place.as_deref().unwrap_or(SAME_PLACE);
    sum_parts(unit, label, parts, DType::F32, options.clone(), numbers, place)
}

/// Parts of sums in scratch memory: `[splits, count]`.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) count: usize,
    pub(crate) splits: usize,
    pub(crate) partial: Extra,
}

/// The place of each result of a sum whose parts stand where its results do.
pub(crate) const SAME_PLACE: &str = "fn place(index: u32) -> u32 {\n    return index;\n}\n";

/// The second stage of a split sum: adds the parts and runs the epilogue.
pub(crate) fn sum_parts(
    unit: &mut Unit<'_>,
    label: String,
    parts: Parts,
    dtype: DType,
    options: Options,
    numbers: &[(&'static str, usize)],
    place: &str,
) -> Result<()> {
    let partial = Extra { writable: false, ..parts.partial };
    let (mut bindings, program) = with_epilogue(unit, &[], &[partial], dtype)?;
    let options = bindings.named(options, numbers);
    let options = bindings
        .named(options, &[("SPLITS", parts.splits)])
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", epilogue::read_extra(&bindings, "read_partial", partial))
        .splice("place", place)
        .splice("epilogue", program);
    dispatch_elements(unit, "split_sum.wgsl", label, parts.count, options, bindings)
}
