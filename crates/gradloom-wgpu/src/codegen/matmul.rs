//! Matrix products in tiles. Those that gain nothing from tiles come as reductions, see [`forms`].

use std::fmt::Write as _;

use gradloom_plan::{ProductForms, Space, View};
use gradloom_shaders::Options;
use gradloom_tensor::{DType, Error, RANK_MAX, Result, Shape};

use super::axes::Axes;
use super::bindings::Bindings;
use super::tiled::{self, Product};
use super::unit::{Target, Unit};

/// The products that the planner makes reductions of: tiles are of floats, and with up to four rows or
/// columns they use each element of an operand so rarely that they gain nothing.
pub(crate) fn forms(target: &Target) -> ProductForms {
    ProductForms { narrow_max: if tiled::fits(target) { 4 } else { usize::MAX } }
}

/// Compiles a product in tiles.
pub(crate) fn compile(unit: &mut Unit<'_>, lhs: &View, rhs: &View) -> Result<()> {
    if unit.kernel.inputs[0].dtype.compute() != DType::F32 || !tiled::fits(unit.target) {
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
        label: format!("matmul{shape:?} k {k}"),
        batch: batch_shape.count(),
        m,
        n,
        k,
        k_fastest: [0, 1].map(|side| sides[side].is_along_contiguous()),
        vectors: [sides[0].is_vector(m), sides[1].is_vector(n)],
        operands: &operands,
        place: None,
        numbers: Vec::new(),
        options: Options::new(),
    };
    tiled::compile(unit, &product)
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
        let walk = self.axes.walk(&self.batch);
        self.view.strides[self.across] == 1
            && size.is_multiple_of(4)
            && self.view.strides[self.along] % 4 == 0
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
        let walk = self.axes.walk(&self.batch);
        let mut text = String::new();
        let result = if vector { "vec4<f32>" } else { "f32" };
        let name = head.replace("{}", if vector { "vector" } else { "at" });
        let _ = writeln!(text, "fn {name} -> {result} {{");
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
        let _ = writeln!(text, "    let index = {};", terms.join(" + "));
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
}
