//! [`Path`]: the dotted name of a place in a model, while it is visited.

/// The dotted name of a place in a model: `encoder.layer.0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    text: String,
}

impl Path {
    /// The model itself.
    pub fn root() -> Self {
        Path::default()
    }

    /// The name; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Calls `visit` with the place `name` inside this one.
    pub fn within<R>(&mut self, name: &str, visit: impl FnOnce(&mut Path) -> R) -> R {
        let len = self.text.len();
        if len > 0 {
            self.text.push('.');
        }
        self.text.push_str(name);
        let result = visit(self);
        self.text.truncate(len);
        result
    }

    /// As [`within`](Path::within), with a number for a name.
    pub fn within_index<R>(&mut self, index: usize, visit: impl FnOnce(&mut Path) -> R) -> R {
        self.within(&index.to_string(), visit)
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}
