//! [`Quads`]: an f32 operand read through a view, four neighbours along its last axis at a time.

use std::fmt::Write as _;

use gradloom_plan::View;
use gradloom_tensor::{DType, Result};

use super::bindings::Bindings;
use super::unit::Unit;

/// An operand of f32 and its index arithmetic, without mask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quads {
    /// Which operand.
    pub(crate) operand: usize,
    /// Index arithmetic.
    pub(crate) view: View,
}

impl Quads {
    /// True if four neighbours always are one vec4 in memory.
    fn is_vector(&self) -> bool {
        let View { shape, strides, offset, .. } = &self.view;
        let last = shape.rank() - 1;
        strides[last] == 1
            && shape[last].is_multiple_of(4)
            && offset % 4 == 0
            && strides[..last].iter().all(|stride| stride % 4 == 0)
    }

    /// Registers the operand.
    pub(crate) fn register(&self, unit: &Unit<'_>, bindings: &mut Bindings) -> Result<()> {
        unit.check_view(self.operand, &self.view)?;
        let (_, resource) = unit.input(self.operand);
        bindings.register(resource, DType::F32, self.is_vector(), false)
    }

    /// `fn name(c0, .., quad) -> vec4<f32>`: elements `4 quad` and on of the last axis, zero beyond its
    /// end, at coordinates of the other axes.
    pub(crate) fn function(&self, unit: &Unit<'_>, bindings: &mut Bindings, name: &str) -> String {
        let View { shape, strides, .. } = &self.view;
        let (_, resource) = unit.input(self.operand);
        let last = shape.rank() - 1;
        let mut text = format!("fn {name}(");
        for axis in 0..last {
            let _ = write!(text, "c{axis}: u32, ");
        }
        text.push_str("quad: u32) -> vec4<f32> {\n");
        let first = address(&self.view, last, bindings);
        let step = match strides[last] {
            1 => "1u".to_owned(),
            stride => bindings.offset("stride", stride),
        };
        let _ = writeln!(text, "    let first = {first} + quad * 4u * {step};");
        if self.is_vector() && bindings.is_vector(resource) {
            let load = bindings.load_vector(resource, DType::F32, "first / 4u");
            let _ = writeln!(text, "    return {load};\n}}");
            return text;
        }
        let element =
            |lane: usize| bindings.load(resource, DType::F32, &format!("first + {lane}u * {step}"));
        if shape[last].is_multiple_of(4) {
            let elements: Vec<String> = (0..4).map(element).collect();
            let _ = writeln!(text, "    return vec4<f32>({});\n}}", elements.join(", "));
            return text;
        }
        let size = bindings.number("size", shape[last]);
        let element =
            |lane: usize| bindings.load(resource, DType::F32, &format!("first + {lane}u * {step}"));
        text.push_str("    var result = vec4<f32>();\n");
        for (lane, component) in ["x", "y", "z", "w"].iter().enumerate() {
            let exists = format!("quad * 4u + {lane}u < {size}");
            let _ =
                writeln!(text, "    if ({exists}) {{ result.{component} = {}; }}", element(lane));
        }
        text.push_str("    return result;\n}\n");
        text
    }
}

/// The element of a view at coordinates `c0` and so on of its first `axes` axes.
pub(crate) fn address(view: &View, axes: usize, bindings: &mut Bindings) -> String {
    let mut text = match view.offset {
        0 => "0u".to_owned(),
        offset => bindings.offset("offset", offset),
    };
    for axis in (0..axes).filter(|&axis| view.strides[axis] != 0) {
        let _ = write!(text, " + c{axis} * {}", bindings.offset("stride", view.strides[axis]));
    }
    text
}
