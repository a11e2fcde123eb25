//! Whole programs of an [`Emitter`]: from the index of an element, or of four, to the stores.

use std::fmt::Write as _;

use gradloom_plan::ValueId;
use gradloom_tensor::{DType, Result};

use super::bindings::Bindings;
use super::coordinates::Frame;
use super::emit::Emitter;
use super::literal;
use super::packed;

impl Emitter<'_> {
    /// Statements that store output `position` at element `index` (and its lanes), with
    /// [`Frame::Elements`] or [`Frame::Apart`].
    pub(crate) fn store_elements(&mut self, position: usize) {
        let (output, resource) = self.unit.output(position);
        let lanes = self.coordinates.lanes;
        let values: Vec<String> = (0..lanes).map(|lane| self.name(output.value, lane)).collect();
        if self.coordinates.frame == Frame::Apart && !packed::is_narrow(output.dtype) {
            for (lane, value) in values.iter().enumerate() {
                let index = format!("index + {lane}u");
                let store = self.bindings.store(resource, output.dtype, &index, value);
                self.line(format!("if ({index} < COUNT) {{ {store} }}"));
            }
            return;
        }
        if self.bindings.is_vector(resource) || packed::is_narrow(output.dtype) && lanes == 4 {
            let store = self.bindings.store_vector(resource, output.dtype, "index / 4u", &values);
            self.line(store);
            return;
        }
        for (lane, value) in values.iter().enumerate() {
            let index = if lane == 0 { "index".to_owned() } else { format!("index + {lane}u") };
            let store = self.bindings.store(resource, output.dtype, &index, value);
            self.line(store);
        }
    }

    /// The whole program for [`Frame::Elements`], from `index` (and `accumulator`) to the stores.
    pub(crate) fn emit_all(&mut self) -> Result<()> {
        if self.coordinates.frame == Frame::Apart {
            self.decode_apart();
        } else {
            self.decode_kept("index");
        }
        for id in 0..self.instructions.len() {
            self.emit(id)?;
        }
        for position in 0..self.unit.kernel.outputs.len() {
            self.store_elements(position);
        }
        Ok(())
    }

    /// The program's value `id` as `fn name(index: u32) -> T`, without stores.
    pub(crate) fn function(mut self, name: &str, id: ValueId) -> Result<(Bindings, String)> {
        self.decode_kept("index");
        for id in 0..self.instructions.len() {
            self.emit(id)?;
        }
        let (kind, value) = (literal::compute_type(self.dtype(id)), self.name(id, 0));
        let head = format!("fn {name}(index: u32) -> {kind} {{");
        let text = format!("{head}\n{}    return {value};\n}}\n", self.text);
        Ok((self.bindings, text))
    }

    /// The kernel's program as `fn epilogue(index: u32, accumulator: T)`, or with four lanes as
    /// `fn epilogue_quad(index: u32, accumulator_0: T, .., accumulator_3: T)`.
    pub(crate) fn epilogue(mut self, accumulator: DType) -> Result<(Bindings, String)> {
        self.emit_all()?;
        let mut text = String::new();
        let kind = literal::compute_type(accumulator);
        if self.coordinates.lanes == 1 {
            let _ = writeln!(text, "fn epilogue(index: u32, accumulator: {kind}) {{");
        } else {
            let lanes =
                (0..self.coordinates.lanes).map(|lane| format!("accumulator_{lane}: {kind}"));
            let lanes = lanes.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "fn epilogue_quad(index: u32, {lanes}) {{");
        }
        text.push_str(&self.text);
        text.push_str("}\n");
        Ok((self.bindings, text))
    }
}
