//! Attention: in tiles of rows, or key by key where few rows share a key head. A row is a query of one
//! of the heads that share a key head.

use gradloom_plan::View;
use gradloom_tensor::op::Attention;
use gradloom_tensor::{DType, Error, Result};

use super::attention_shapes::{Few, Sizes, Tile};
use super::bindings::Bindings;
use super::epilogue::{self, Extra, dispatch_elements, with_epilogue};
use super::literal;
use super::quads::{self, Quads};
use super::unit::Unit;

/// Rows of a key head up to which they are not worth a tile.
const FEW_ROWS: usize = 16;
/// The score of a key that a bool mask hides, finite so that a row of them has a softmax.
const HIDDEN: f64 = -1e30;

/// Compiles an attention kernel.
pub(crate) fn compile(unit: &mut Unit<'_>, attention: &Attention, views: &[View]) -> Result<()> {
    let operands = Operands { attention, views };
    let sizes = Sizes::of(views);
    if sizes.rows() > FEW_ROWS
        && unit.target.may("attention", "TILES")
        && let Some(tile) = Tile::choose(unit.target, &sizes)
        && tile.turns(&sizes) <= unit.target.turns_max
    {
        return in_tiles(unit, &operands, &sizes, tile);
    }
    match Few::choose(unit.target, &sizes) {
        Some(few) => key_by_key(unit, &operands, &sizes, few),
        None => Err(Error::unsupported(format!(
            "attention: {} features need more workgroup memory or threads than this device has",
            sizes.depth.max(sizes.features)
        ))),
    }
}

/// `fn epilogue_quad`, or `fn epilogue` where features are no multiple of four.
fn finish(unit: &mut Unit<'_>, quads: bool, bindings: Bindings) -> Result<(Bindings, String)> {
    if quads {
        return epilogue::quad_on_bindings(unit, bindings, DType::F32);
    }
    unit.widen_outputs(|_| true);
    epilogue::on_bindings(unit, bindings, DType::F32)
}

fn in_tiles(unit: &mut Unit<'_>, operands: &Operands<'_>, sizes: &Sizes, tile: Tile) -> Result<()> {
    let quads = sizes.has_quads() && unit.target.may("attention", "QUADS");
    let (mut bindings, program) = finish(unit, quads, operands.bind(unit)?)?;
    let tiles = sizes.rows().div_ceil(tile.rows);
    let groups = tiles * sizes.pairs();
    let options = sizes.options(&mut bindings);
    let options = bindings
        .named(options, &[("GROUPS", groups), ("TILES", tiles)])
        .define("TILES")
        .define_if(sizes.is_long(), "LONG")
        .define_if(quads, "QUADS")
        .constant("WORKGROUP", Tile::THREADS as u32)
        .constant("TILE_Q", tile.rows as u32)
        .constant("TILE_K", tile.keys as u32)
        .constant("EACH_Q", tile.each[0] as u32)
        .constant("EACH_K", tile.each[1] as u32)
        .constant("LANES", (Tile::THREADS / tile.rows) as u32)
        .constant("OUT_Q", tile.out_rows as u32)
        .constant("EACH_E", tile.out_fours(sizes) as u32)
        .constant("LANES_E", tile.out_lanes() as u32)
        .splice("reads", operands.functions(unit, &mut bindings))
        .splice("epilogue", program);
    let label = format!("{} tile {}x{}", sizes.label(), tile.rows, tile.keys);
    unit.dispatch("attention.wgsl", label, options, bindings, groups)
}

fn key_by_key(unit: &mut Unit<'_>, operands: &Operands<'_>, sizes: &Sizes, few: Few) -> Result<()> {
    unit.check_turns("attention", few.turns(sizes))?;
    let quads = sizes.has_quads() && unit.target.may("attention_few", "QUADS");
    let bindings = operands.bind(unit)?;
    let partial = (few.splits > 1).then(|| {
        let words = few.splits * sizes.pairs() * sizes.rows() * (sizes.features + 2);
        Extra { resource: unit.add_scratch(words), dtype: DType::F32, writable: true }
    });
    let (mut bindings, finish) = match partial {
        None => finish(unit, quads, bindings)?,
        Some(partial) => {
            let mut bindings = bindings;
            bindings.register(partial.resource, partial.dtype, false, true)?;
            let text = epilogue::write_extra(&bindings, "write_partial", partial);
            (bindings, text)
        }
    };
    let chunks = sizes.rows().div_ceil(few.rows);
    let groups = chunks * sizes.pairs() * few.splits;
    let counts = [("GROUPS", groups), ("CHUNKS", chunks), ("SPLITS", few.splits)];
    let options = sizes.options(&mut bindings);
    let options = bindings
        .named(options, &counts)
        .define_if(partial.is_some(), "SPLIT")
        .define_if(quads, "QUADS")
        .constant("WORKGROUP", few.threads as u32)
        .constant("M", few.rows as u32)
        .constant("TILE_K", few.keys as u32)
        .constant("LANES_D", Few::DEPTH_LANES as u32)
        .constant("LANES", few.row_lanes as u32)
        .constant("LANES_E", few.out_lanes as u32)
        .constant("SLOTS", (few.threads / few.out_lanes) as u32)
        .splice("reads", operands.functions(unit, &mut bindings))
        .splice("epilogue", finish);
    let label = format!("{} splits {}", sizes.label(), few.splits);
    unit.dispatch("attention_few.wgsl", label, options, bindings, groups)?;
    let Some(partial) = partial else { return Ok(()) };

    unit.widen_outputs(|_| true);
    let partial = Extra { writable: false, ..partial };
    let (mut bindings, program) = with_epilogue(unit, &[], &[partial], DType::F32)?;
    let options = sizes.options(&mut bindings);
    let options = bindings
        .named(options, &[("SPLITS", few.splits)])
        .splice("reads", epilogue::read_extra(&bindings, "read_partial", partial))
        .splice("epilogue", program);
    let count = unit.kernel.space.shape.count();
    let label = format!("{} sum of {}", sizes.label(), few.splits);
    dispatch_elements(unit, "attention_combine.wgsl", label, count, options, bindings)
}

/// Query, key, value, mask and start as WGSL functions.
struct Operands<'a> {
    attention: &'a Attention,
    views: &'a [View],
}

impl Operands<'_> {
    fn quads(&self) -> [Quads; 3] {
        [0, 1, 2].map(|operand| Quads { operand, view: self.views[operand] })
    }

    fn bind(&self, unit: &Unit<'_>) -> Result<Bindings> {
        let mut bindings = Bindings::default();
        for quads in self.quads() {
            quads.register(unit, &mut bindings)?;
        }
        for operand in 3..self.views.len() {
            unit.check_view(operand, &self.views[operand])?;
            let (input, resource) = unit.input(operand);
            bindings.register(resource, input.dtype, false, false)?;
        }
        Ok(bindings)
    }

    fn functions(&self, unit: &Unit<'_>, bindings: &mut Bindings) -> String {
        let Attention { scale, causal, window, masked, placed } = *self.attention;
        let (queries, keys) = (self.views[0].shape[2] as i64, self.views[1].shape[2] as i64);
        let mut text: String = self
            .quads()
            .iter()
            .zip(["query_quad", "key_quad", "value_quad"])
            .map(|(quads, name)| quads.function(unit, bindings, name))
            .collect();
        let float = |value: f64| literal::float(value as f32);
        let mut function = |head: &str, body: &str| {
            text.push_str(&format!("fn {head} {{\n    return {body};\n}}\n"));
        };
        function("scale() -> f32", &float(scale));

        let mut whole = |name: &str, value: i64| {
            format!("bitcast<i32>({})", bindings.offset(name, value as isize))
        };
        let (all, past) = (whole("keys", keys), whole("past_keys", keys - queries));
        let new = whole("queries", queries);
        // A window beyond all keys hides none.
        let window = window.map(|window| whole("window", 1 - (window as i64).min(keys + queries)));
        let first = match placed {
            true => {
                let operand = self.views.len() - 1;
                self.element(unit, bindings, operand)
            }
            false => past,
        };
        function("first_position(c0: u32) -> i32", &first);
        let clamped = |place: String| format!("u32(clamp({place}, 0i, {all}))");
        let end = match (causal, placed) {
            (true, _) => clamped("first + i32(query) + 1i".to_owned()),
            (false, true) => clamped(format!("first + {new}")),
            (false, false) => format!("u32({all})"),
        };
        function("seen_end(first: i32, query: u32) -> u32", &end);
        let begin = window
            .map_or("0u".to_owned(), |window| clamped(format!("first + i32(query) + {window}")));
        function("seen_begin(first: i32, query: u32) -> u32", &begin);
        let score = match masked.then(|| (unit.input(3).0.dtype, self.element(unit, bindings, 3))) {
            None => "score".to_owned(),
            Some((DType::Bool, mask)) => format!("select({}, score, {mask})", float(HIDDEN)),
            Some((_, mask)) => format!("score + {mask}"),
        };
        let head = "masked(score: f32, c0: u32, c1: u32, c2: u32, c3: u32) -> f32";
        function(head, &score);
        text
    }

    /// An element of an operand at coordinates `c0` and so on.
    fn element(&self, unit: &Unit<'_>, bindings: &mut Bindings, operand: usize) -> String {
        let (input, resource) = unit.input(operand);
        let view = &self.views[operand];
        let address = quads::address(view, view.shape.rank(), bindings);
        bindings.load(resource, input.dtype, &address)
    }
}
