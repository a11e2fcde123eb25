//! [`AdapterInfo`]: what is known of an adapter before it is used.

/// How an adapter is built, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A card with its own memory.
    Discrete,
    /// Part of the processor, sharing its memory.
    Integrated,
    /// A share of a GPU in a virtual machine, or unknown.
    Virtual,
    /// A processor pretending: correct, slow, good for tests.
    Software,
}

/// What is known of an adapter before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterInfo {
    /// Position in [`adapters`](crate::adapters), which [`device`](crate::device) takes as selector.
    pub index: usize,
    /// The product's name.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `webgpu`.
    pub backend: String,
    /// How it is built.
    pub kind: AdapterKind,
    /// Name and version of the driver.
    pub driver: String,
    /// Lanes of a subgroup (smallest, largest) if shaders can use subgroups.
    pub subgroups: Option<(u32, u32)>,
    /// True if its shaders multiply four bytes of a word at once.
    pub packed_dot: bool,
}

impl std::fmt::Display for AdapterInfo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {} ({:?}, {})", self.backend, self.name, self.kind, self.driver)
    }
}
