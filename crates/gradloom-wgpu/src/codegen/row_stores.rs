//! Stores of a row's elements: one by one, or four neighbours at once.

use super::packed;
use super::row::Writer;

impl Writer<'_> {
    /// Stores elements of one lane.
    pub(super) fn store_elements(&mut self, stores: &[usize], lane: usize) {
        let suffix = self.emitter.lane_suffix(lane);
        for &position in stores {
            let (output, resource) = self.unit.output(position);
            let value = self.emitter.name(output.value, lane);
            let index = format!("row * COLUMNS + column{suffix}");
            let store = self.emitter.bindings.store(resource, output.dtype, &index, &value);
            self.emitter.line(store);
        }
    }

    /// Stores four neighbours of each of these outputs.
    pub(super) fn store_fours(&mut self, stores: &[usize]) {
        for &position in stores {
            let (output, resource) = self.unit.output(position);
            let values: Vec<String> =
                (0..4).map(|lane| self.emitter.name(output.value, lane)).collect();
            let bindings = &self.emitter.bindings;
            if bindings.is_vector(resource) || packed::is_narrow(output.dtype) {
                let index = "(row * COLUMNS + column_0) / 4u";
                let store = bindings.store_vector(resource, output.dtype, index, &values);
                self.emitter.line(store);
            } else {
                (0..4).for_each(|lane| self.store_elements(&[position], lane));
            }
        }
    }
}
