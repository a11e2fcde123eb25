//! [`Bindings`]: the buffers of one dispatch, how each is declared, loads and stores as text, and the
//! numbers that the text mentions.
//!
//! A buffer that a kernel both reads and writes (an output in the memory of an input) is bound once:
//! WebGPU forbids one buffer in two bindings of which one is writable.

use gradloom_plan::BufferRef;
use gradloom_shaders::Options;
use gradloom_tensor::{DType, Result};

use super::literal;
use super::numbers::{Numbers, UNIFORM_WORDS_MAX};
use super::packed;

/// What a binding is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Resource {
    /// A buffer of the plan, with outputs that share memory already resolved.
    Plan(BufferRef),
    /// Memory that only the dispatches of one kernel use.
    Scratch(usize),
    /// The kernel's own words, see [`Words`](super::words::Words).
    Words,
    /// The dispatch's [`Numbers`].
    Numbers,
    /// Where index checks report.
    Status,
    /// The number of the loop's step: one vector of the [turns](Resource::Turns), at an offset that is given
    /// with the dispatch.
    Turn,
    /// The numbers of all steps, each at the start of its own part.
    Turns,
    /// Vectors of numbers, of any count.
    List,
    /// The words of all kernels.
    Arena,
}

/// One binding of a dispatch.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) resource: Resource,
    pub(crate) writable: bool,
    /// True for a uniform buffer, false for a storage buffer.
    pub(crate) uniform: bool,
    scalar: &'static str,
    vector: bool,
    /// Elements share words: an array of u32, whatever the dtype.
    packed: bool,
}

impl Binding {
    /// True if it is declared as an array of vec4.
    fn is_array_of_vectors(&self) -> bool {
        self.vector && !self.packed
    }
}

/// The bindings of one dispatch, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings {
    list: Vec<Binding>,
    /// Number of words of the kernel.
    words: usize,
    numbers: Numbers,
}

impl Bindings {
    /// Declares a use; `vector` says that four neighbours are used at a time, from a multiple of four on,
    /// which holds if it holds for every use.
    pub(crate) fn register(
        &mut self,
        resource: Resource,
        dtype: DType,
        vector: bool,
        writable: bool,
    ) -> Result<()> {
        let packed = is_packed(resource, dtype);
        let scalar = if packed { "u32" } else { literal::word_type(dtype) };
        let Some(binding) = self.list.iter_mut().find(|binding| binding.resource == resource)
        else {
            let uniform = false;
            self.list.push(Binding { resource, writable, uniform, scalar, vector, packed });
            return Ok(());
        };
        binding.writable |= writable;
        binding.vector &= vector && binding.packed == packed;
        binding.packed |= packed;
        if binding.scalar != scalar {
            binding.scalar = "u32";
            binding.vector = false;
        }
        Ok(())
    }

    /// Declares the words of a kernel, which are so many.
    pub(crate) fn register_words(&mut self, count: usize) {
        self.words = count;
        self.register_once(Binding {
            resource: Resource::Words,
            writable: false,
            uniform: count <= UNIFORM_WORDS_MAX,
            scalar: "u32",
            vector: true,
            packed: false,
        });
    }

    /// Declares where index checks report.
    pub(crate) fn register_status(&mut self) {
        self.register_once(Binding {
            resource: Resource::Status,
            writable: true,
            uniform: false,
            scalar: "u32",
            vector: false,
            packed: false,
        });
    }

    /// Declares one of the buffers that loops use beside memory.
    pub(crate) fn register_of_loop(&mut self, resource: Resource) {
        self.register_once(Binding {
            resource,
            writable: resource == Resource::Arena,
            uniform: resource == Resource::Turn,
            scalar: "u32",
            vector: false,
            packed: false,
        });
    }

    /// A number as an expression: its value is no part of the text. `name` says what it is.
    pub(crate) fn number(&mut self, name: &str, value: usize) -> String {
        self.word(name, value as u32)
    }

    /// As [`Bindings::number`], for part of an address: negative ones wrap, which arithmetic in `u32`
    /// undoes.
    pub(crate) fn offset(&mut self, name: &str, value: isize) -> String {
        self.word(name, value as u32)
    }

    /// As [`Bindings::number`], for any 32 bits.
    pub(crate) fn word(&mut self, name: &str, value: u32) -> String {
        self.register_once(Binding {
            resource: Resource::Numbers,
            writable: false,
            uniform: true,
            scalar: "u32",
            vector: false,
            packed: false,
        });
        self.numbers.add(name, value)
    }

    /// Lets names of a template stand for numbers.
    pub(crate) fn named(&mut self, options: Options, numbers: &[(&str, usize)]) -> Options {
        numbers.iter().fold(options, |options, &(name, value)| {
            let expression = self.number(&name.to_ascii_lowercase(), value);
            options.expression(name, expression)
        })
    }

    fn register_once(&mut self, binding: Binding) {
        if !self.list.iter().any(|other| other.resource == binding.resource) {
            self.list.push(binding);
        }
    }

    /// Number of storage buffers.
    pub(crate) fn storage_buffers(&self) -> usize {
        self.list.iter().filter(|binding| !binding.uniform).count()
    }

    /// True if every use of the buffer is of four neighbours from a multiple of four on.
    pub(crate) fn is_vector(&self, resource: Resource) -> bool {
        self.list.iter().any(|binding| binding.resource == resource && binding.vector)
    }

    /// The bindings in order, and the numbers.
    pub(crate) fn into_parts(self) -> (Vec<Binding>, Vec<u32>) {
        (self.list, self.numbers.into_values())
    }

    /// The WGSL declarations.
    pub(crate) fn declarations(&self) -> String {
        let mut text = String::new();
        if !self.numbers.is_empty() {
            text.push_str(&self.numbers.declaration());
        }
        for (position, binding) in self.list.iter().enumerate() {
            let head = format!("@group(0) @binding({position}) ");
            let line = match binding.resource {
                Resource::Words => {
                    let space = if binding.uniform { "uniform" } else { "storage, read" };
                    let vectors = self.words.div_ceil(4);
                    format!("var<{space}> words: array<vec4<u32>, {vectors}>;")
                }
                Resource::Numbers => "var<uniform> numbers: Numbers;".to_owned(),
                Resource::Status => {
                    "var<storage, read_write> status: array<atomic<u32>, 4>;".to_owned()
                }
                Resource::Turn => "var<uniform> turn: vec4<u32>;".to_owned(),
                Resource::List => "var<storage, read> list: array<vec4<u32>>;".to_owned(),
                Resource::Arena => "var<storage, read_write> arena: array<u32>;".to_owned(),
                Resource::Plan(_) | Resource::Scratch(_) | Resource::Turns => {
                    let access = if binding.writable { "read_write" } else { "read" };
                    let element = if binding.is_array_of_vectors() {
                        format!("vec4<{}>", binding.scalar)
                    } else {
                        binding.scalar.to_owned()
                    };
                    format!("var<storage, {access}> b{position}: array<{element}>;")
                }
            };
            text.push_str(&head);
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// The name of a buffer in the text.
    pub(crate) fn name(&self, resource: Resource) -> String {
        format!("b{}", self.find(resource).0)
    }

    fn find(&self, resource: Resource) -> (usize, &Binding) {
        self.list
            .iter()
            .enumerate()
            .find(|(_, binding)| binding.resource == resource)
            .unwrap_or_else(|| unreachable!("{resource:?} was not registered"))
    }

    /// One element of `dtype` as a value of its compute type.
    pub(crate) fn load(&self, resource: Resource, dtype: DType, index: &str) -> String {
        let (position, binding) = self.find(resource);
        if is_packed(resource, dtype) {
            return packed::load(&format!("b{position}"), dtype, index);
        }
        let element = if binding.is_array_of_vectors() {
            format!("b{position}[({index}) / 4u][({index}) % 4u]")
        } else {
            format!("b{position}[{index}]")
        };
        from_storage(binding.scalar, dtype, &element)
    }

    /// Word `index` of packed elements.
    pub(crate) fn load_word(&self, resource: Resource, index: &str) -> String {
        let (position, binding) = self.find(resource);
        debug_assert!(binding.packed, "elements take a word each");
        format!("b{position}[{index}]")
    }

    /// Four neighbouring elements, from number `4 index` on; use [`Bindings::component`] on the name.
    pub(crate) fn load_vector(&self, resource: Resource, dtype: DType, index: &str) -> String {
        let (position, _) = self.find(resource);
        if is_packed(resource, dtype) {
            return packed::load_four(&format!("b{position}"), dtype, index);
        }
        format!("b{position}[{index}]")
    }

    /// Component `lane` of a vec4 that was loaded, as a value.
    pub(crate) fn component(
        &self,
        resource: Resource,
        dtype: DType,
        name: &str,
        lane: usize,
    ) -> String {
        let (_, binding) = self.find(resource);
        let element = format!("{name}.{}", ["x", "y", "z", "w"][lane]);
        if is_packed(resource, dtype) {
            return packed::component(dtype, &element);
        }
        from_storage(binding.scalar, dtype, &element)
    }

    /// A statement that stores a value of the compute type of `dtype`, which takes a word for itself.
    pub(crate) fn store(
        &self,
        resource: Resource,
        dtype: DType,
        index: &str,
        value: &str,
    ) -> String {
        let (position, binding) = self.find(resource);
        debug_assert!(!is_packed(resource, dtype), "other threads write the same word");
        format!("b{position}[{index}] = {};", to_storage(binding.scalar, dtype, value))
    }

    /// A statement that stores word `index` of packed elements, from a value for each of them.
    pub(crate) fn store_word(
        &self,
        resource: Resource,
        dtype: DType,
        index: &str,
        values: &[String],
    ) -> String {
        let (position, _) = self.find(resource);
        format!("b{position}[{index}] = {};", packed::pack(dtype, values))
    }

    /// Statements that store four values as elements `4 index` and on.
    pub(crate) fn store_vector(
        &self,
        resource: Resource,
        dtype: DType,
        index: &str,
        values: &[String],
    ) -> String {
        let (position, binding) = self.find(resource);
        if is_packed(resource, dtype) {
            let words: Vec<String> = values
                .chunks(packed::per_word(dtype))
                .enumerate()
                .map(|(word, values)| {
                    let words = 4 / packed::per_word(dtype);
                    let place = format!("({index}) * {words}u + {word}u");
                    self.store_word(resource, dtype, &place, values)
                })
                .collect();
            return words.join(" ");
        }
        let values: Vec<String> =
            values.iter().map(|value| to_storage(binding.scalar, dtype, value)).collect();
        format!("b{position}[{index}] = vec4<{}>({});", binding.scalar, values.join(", "))
    }
}

/// True if elements of this dtype share words there: tensors are packed, what passes between the
/// dispatches of a kernel is not.
fn is_packed(resource: Resource, dtype: DType) -> bool {
    matches!(resource, Resource::Plan(_)) && packed::is_narrow(dtype)
}

fn from_storage(scalar: &str, dtype: DType, element: &str) -> String {
    let own = literal::word_type(dtype);
    let element =
        if scalar == own { element.to_owned() } else { format!("bitcast<{own}>({element})") };
    match dtype {
        DType::Bool => format!("({element} != 0u)"),
        DType::F32
        | DType::F16
        | DType::BF16
        | DType::F64
        | DType::I32
        | DType::I64
        | DType::I8
        | DType::U32
        | DType::U8 => element,
    }
}

fn to_storage(scalar: &str, dtype: DType, value: &str) -> String {
    let own = literal::word_type(dtype);
    let stored = match dtype {
        DType::F16 => format!("gl_round_f16({value})"),
        DType::BF16 => format!("gl_round_bf16({value})"),
        DType::I8 => literal::signed_byte(value),
        DType::U8 => format!("({value} & 255u)"),
        DType::Bool => format!("select(0u, 1u, {value})"),
        DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U32 => value.to_owned(),
    };
    if scalar == own { stored } else { format!("bitcast<{scalar}>({stored})") }
}
