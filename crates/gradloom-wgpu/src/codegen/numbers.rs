//! [`Numbers`]: what differs between the shapes of one kernel and not between its evaluations: sizes,
//! strides, offsets, trip counts, constants. A plan uploads them once.
//!
//! A shader mentions them by name, so that one serves all shapes that lead to the same text. A number
//! that decides what the text is (vectors of four, axes that vanish, sizes of tiles) is a literal.

/// Words up to which a kernel reads them from a uniform buffer: the bytes that WebGPU promises of one.
/// More are read from a storage buffer, which is slower and holds any number.
pub(crate) const UNIFORM_WORDS_MAX: usize = (16 << 10) / 4;

/// The numbers of one dispatch, in the order in which its text mentions them. Equal numbers are kept
/// apart: two sizes that happen to be equal must not change the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    names: Vec<String>,
    values: Vec<u32>,
}

impl Numbers {
    /// One more number, as a WGSL expression: a field of the buffer; the number itself where the buffer is
    /// full, which only programs of thousands of views reach.
    pub(crate) fn add(&mut self, name: &str, value: u32) -> String {
        if self.values.len() == UNIFORM_WORDS_MAX {
            return format!("{value}u");
        }
        let name = format!("{name}_{}", self.values.len());
        let expression = format!("numbers.{name}");
        self.names.push(name);
        self.values.push(value);
        expression
    }

    /// True if there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All in order.
    pub(crate) fn into_values(self) -> Vec<u32> {
        self.values
    }

    /// The WGSL type of the buffer.
    pub(crate) fn declaration(&self) -> String {
        let fields: String = self.names.iter().map(|name| format!("    {name}: u32,\n")).collect();
        format!("struct Numbers {{\n{fields}}}\n")
    }
}
