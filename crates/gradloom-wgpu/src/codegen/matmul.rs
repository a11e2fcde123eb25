//! Matrix products in tiles. Those that gain nothing from tiles come as reductions, see [`forms`].
//! Products of signed bytes have tiles of their own, whose words hold four neighbours along the inner axis.

use std::fmt::Write as _;

use gradloom_plan::{ProductForms, Space, View};
use gradloom_shaders::Options;
use gradloom_tensor::{DType, Error, RANK_MAX, Result, Shape};

use super::axes::Axes;
use super::bindings::Bindings;
use super::epilogue;
use super::tiled::{self, Product};
use super::unit::{Target, Unit};

/// Rows and columns of a tile of bytes, and words along its inner axis: one load of four words of each
/// operand for each of its threads.
const BYTES_TILE: usize = 64;
const BYTES_TILE_K: usize = 16;

/// The products that the planner makes reductions of: tiles are of floats and signed bytes, and with up to
/// four rows or columns they use each element of an operand so rarely that they gain nothing.
pub(crate) fn forms(target: &Target) -> ProductForms {
    let fits = tiled::fits(target);
    let bytes = fits && target.may("matmul_bytes", "TILES");
    ProductForms { narrow_max: if fits { 4 } else { usize::MAX }, bytes }
}

/// Compiles a product in tiles.
pub(crate) fn compile(unit: &mut Unit<'_>, lhs: &View, rhs: &View) -> Result<()> {
    let dtype = unit.kernel.inputs[0].dtype;
    let of_bytes = dtype == DType::I8 && epilogue::accumulator_dtype(unit.kernel) == DType::I32;
    if !(of_bytes || dtype.compute() == DType::F32) || !tiled::fits(unit.target) {
        return Err(Error::unsupported(format!(
            "matmul: {RANK_MAX} axes are one too many for this product on a GPU; merge batch axes"
        )));
    }
    unit.check_view(0, lhs)?;
    unit.check_view(1, rhs)?;
    let shape = unit.kernel.space.shape;
    let rank = shape.rank();
    let batch_shape = Shape::new(&shape[..rank - 2]);
    let batches = [lhs, rhs].map(|view| batch_view(view, batch_shape));
    let axes = Axes::merge(&Space::elements(batch_shape), &batches);
    let (m, n, k) = (shape[rank - 2], shape[rank - 1], lhs.shape[rank - 1]);
    let (row, column) = (rank - 2, rank - 1);
    let sides = [
        Side { axes: &axes, view: *lhs, batch: batches[0], across: row, along: column },
        Side { axes: &axes, view: *rhs, batch: batches[1], across: column, along: row },
    ];
    let label = format!("matmul{shape:?} k {k}");
    if of_bytes {
        return bytes(unit, label, &sides, [batch_shape.count(), m, n, k]);
    }
    let operands = |unit: &Unit<'_>, bindings: &mut Bindings, vectors: [bool; 2]| {
        let head = ["lhs_{}(batch: u32, m: u32, k: u32)", "rhs_{}(batch: u32, k: u32, n: u32)"];
        let names = [("m", "k"), ("n", "k")];
        (0..2)
            .map(|operand| {
                let side = &sides[operand];
                side.function(
                    unit,
                    bindings,
                    operand,
                    head[operand],
                    names[operand],
                    vectors[operand],
                )
            })
            .collect()
    };
    let product = Product {
        label,
        batch: batch_shape.count(),
        m,
        n,
        k,
        k_fastest: [0, 1].map(|side| sides[side].is_along_contiguous()),
        vectors: [
            sides[0].is_vector(m) && unit.target.may("matmul", "LHS_VECTOR"),
            sides[1].is_vector(n) && unit.target.may("matmul", "RHS_VECTOR"),
        ],
        operands: &operands,
        place: None,
        numbers: Vec::new(),
        options: Options::new(),
    };
    tiled::compile(unit, &product)
}

/// A product of signed bytes that are summed in 32 bits.
fn bytes(
    unit: &mut Unit<'_>,
    label: String,
    sides: &[Side<'_>; 2],
    [batch, m, n, k]: [usize; 4],
) -> Result<()> {
    let may = |form: &str| unit.target.may("matmul_bytes", form);
    let quads = n.is_multiple_of(4) && may("QUADS");
    if !quads {
        unit.widen_outputs(|_| true);
    }
    let bindings = epilogue::operand_bindings(unit, &[0, 1], &[])?;
    let (mut bindings, finish) = match quads {
        true => epilogue::quad_on_bindings(unit, bindings, DType::I32)?,
        false => epilogue::on_bindings(unit, bindings, DType::I32)?,
    };
    let heads = [("lhs", "m: u32, k: u32", ("m", "k")), ("rhs", "k: u32, n: u32", ("n", "k"))];
    let mut operands = String::new();
    for (operand, (side, (name, places, (across, along)))) in sides.iter().zip(heads).enumerate() {
        let index = side.address(&mut bindings, across, along);
        let word = bindings.load_word(unit.input(operand).1, "word");
        let _ = writeln!(
            operands,
            "fn {name}_index(batch: u32, {places}) -> u32 {{\n    return {index};\n}}
fn {name}_word(word: u32) -> u32 {{\n    return {word};\n}}"
        );
    }
    let (tiles_m, tiles_n) = (m.div_ceil(BYTES_TILE), n.div_ceil(BYTES_TILE));
    let groups = tiles_m * tiles_n * batch;
    let turns = k.div_ceil(4 * BYTES_TILE_K) * (1 + BYTES_TILE_K);
    unit.check_turns(&label, turns)?;
    let sizes = [
        ("GROUPS", groups),
        ("M", m),
        ("N", n),
        ("K", k),
        ("TILES_M", tiles_m),
        ("TILES_N", tiles_n),
    ];
    let options = bindings
        .named(Options::new(), &sizes)
        .define("TILES")
        .define_if(sides[0].is_vector_along(k) && may("LHS_ALONG"), "LHS_ALONG")
        .define_if(sides[0].is_vector(m) && may("LHS_ACROSS"), "LHS_ACROSS")
        .define_if(sides[1].is_vector_along(k) && may("RHS_ALONG"), "RHS_ALONG")
        .define_if(sides[1].is_vector(n) && may("RHS_ACROSS"), "RHS_ACROSS")
        .define_if(unit.target.packed_dot && may("PACKED_DOT"), "PACKED_DOT")
        .define_if(quads, "QUADS")
        .constant("WORKGROUP", tiled::TILE_THREADS)
        .constant("TILE", BYTES_TILE as u32)
        .constant("TILE_K", BYTES_TILE_K as u32)
        .splice("operands", operands)
        .splice("finish", finish);
    unit.dispatch("matmul_bytes.wgsl", format!("{label} of bytes"), options, bindings, groups)
}

/// The batch axes of an operand alone.
fn batch_view(view: &View, shape: Shape) -> View {
    let mut strides = [0; RANK_MAX];
    strides[..shape.rank()].copy_from_slice(&view.strides[..shape.rank()]);
    View { shape, strides, offset: view.offset, mask: None }
}

/// One operand: `across` is its own axis of the output, `along` the inner axis.
struct Side<'a> {
    axes: &'a Axes,
    view: View,
    batch: View,
    across: usize,
    along: usize,
}

impl Side<'_> {
    fn is_along_contiguous(&self) -> bool {
        self.view.strides[self.along].abs() == 1 && self.view.strides[self.across].abs() != 1
    }

    /// True if four neighbours across start at a multiple of four and lie side by side.
    fn is_vector(&self, size: usize) -> bool {
        self.is_in_fours(self.across, self.along, size)
    }

    /// The same of neighbours along the inner axis.
    fn is_vector_along(&self, size: usize) -> bool {
        self.is_in_fours(self.along, self.across, size)
    }

    fn is_in_fours(&self, axis: usize, other: usize, size: usize) -> bool {
        let walk = self.axes.walk(&self.batch);
        self.view.strides[axis] == 1
            && size.is_multiple_of(4)
            && self.view.strides[other] % 4 == 0
            && walk.offset % 4 == 0
            && walk.strides.iter().all(|stride| stride % 4 == 0)
    }

    fn function(
        &self,
        unit: &Unit<'_>,
        bindings: &mut Bindings,
        operand: usize,
        head: &str,
        (across, along): (&str, &str),
        vector: bool,
    ) -> String {
        let (input, resource) = unit.input(operand);
        let mut text = String::new();
        let result = if vector { "vec4<f32>" } else { "f32" };
        let name = head.replace("{}", if vector { "vector" } else { "at" });
        let _ = writeln!(text, "fn {name} -> {result} {{");
        let _ = writeln!(text, "    let index = {};", self.address(bindings, across, along));
        if vector {
            let load = bindings.load_vector(resource, input.dtype, "index / 4u");
            let _ = writeln!(text, "    return vec4<f32>({load});");
        } else {
            let load = bindings.load(resource, input.dtype, "index");
            let _ = writeln!(text, "    return {load};");
        }
        text.push_str("}\n");
        text
    }

    /// The element at `batch` and names of the two other coordinates, as an expression.
    fn address(&self, bindings: &mut Bindings, across: &str, along: &str) -> String {
        let walk = self.axes.walk(&self.batch);
        let mut terms = Vec::new();
        let mut rest = "batch".to_owned();
        for (axis, (&size, &stride)) in self.axes.sizes.iter().zip(&walk.strides).enumerate().rev()
        {
            if axis == 0 {
                if stride != 0 {
                    terms.push(format!("{rest} * {}", bindings.offset("stride", stride)));
                }
                break;
            }
            let size = bindings.number("size", size);
            if stride != 0 {
                terms.push(format!("({rest} % {size}) * {}", bindings.offset("stride", stride)));
            }
            rest = format!("({rest} / {size})");
        }
        for (name, stride) in
            [(across, self.view.strides[self.across]), (along, self.view.strides[self.along])]
        {
            match stride {
                0 => {}
                1 => terms.push(name.to_owned()),
                _ => terms.push(format!("{name} * {}", bindings.offset("stride", stride))),
            }
        }
        terms.push(match walk.offset {
            0 => "0u".to_owned(),
            offset => bindings.offset("offset", offset),
        });
        terms.join(" + ")
    }
}
