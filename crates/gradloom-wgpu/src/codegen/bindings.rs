//! [`Bindings`]: the buffers of one dispatch, how each is declared, loads and stores as text, and the
//! numbers that the text mentions.
//!
//! A buffer that a kernel both reads and writes (an output in the memory of an input) is bound once:
//! WebGPU forbids one buffer in two bindings of which one is writable.

use gradloom_plan::BufferRef;
use gradloom_shaders::Options;
use gradloom_tensor::{DType, Error, Result};

use super::literal;
use super::numbers::{Numbers, UNIFORM_WORDS_MAX};

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
    /// Declares a use; `vector` asks for a declaration as vec4, which holds if every use asks for it.
    pub(crate) fn register(
        &mut self,
        resource: Resource,
        dtype: DType,
        vector: bool,
        writable: bool,
    ) -> Result<()> {
        let scalar = literal::storage_type(dtype);
        let Some(binding) = self.list.iter_mut().find(|binding| binding.resource == resource)
        else {
            self.list.push(Binding { resource, writable, uniform: false, scalar, vector });
            return Ok(());
        };
        binding.writable |= writable;
        binding.vector &= vector;
        if binding.scalar != scalar {
            if binding.scalar == "f16" || scalar == "f16" {
                return Err(Error::backend(
                    "plan: a kernel uses one buffer both as f16 and as 32-bit elements",
                ));
            }
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

    /// True if the buffer is declared as vec4.
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
                Resource::Plan(_) | Resource::Scratch(_) => {
                    let access = if binding.writable { "read_write" } else { "read" };
                    let element = if binding.vector {
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

    /// True if the module needs `enable f16;`.
    pub(crate) fn uses_f16(&self) -> bool {
        self.list.iter().any(|binding| binding.scalar == "f16")
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
        let element = if binding.vector {
            format!("b{position}[({index}) / 4u][({index}) % 4u]")
        } else {
            format!("b{position}[{index}]")
        };
        from_storage(binding.scalar, dtype, &element)
    }

    /// Four neighbouring elements, from vec4 number `index`; use [`Bindings::component`] on the name.
    pub(crate) fn load_vector(&self, resource: Resource, index: &str) -> String {
        let (position, _) = self.find(resource);
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
        from_storage(binding.scalar, dtype, &format!("{name}.{}", ["x", "y", "z", "w"][lane]))
    }

    /// A statement that stores a value of the compute type of `dtype`.
    pub(crate) fn store(
        &self,
        resource: Resource,
        dtype: DType,
        index: &str,
        value: &str,
    ) -> String {
        let (position, binding) = self.find(resource);
        format!("b{position}[{index}] = {};", to_storage(binding.scalar, dtype, value))
    }

    /// A statement that stores four values as vec4 number `index`.
    pub(crate) fn store_vector(
        &self,
        resource: Resource,
        dtype: DType,
        index: &str,
        values: &[String],
    ) -> String {
        let (position, binding) = self.find(resource);
        let values: Vec<String> =
            values.iter().map(|value| to_storage(binding.scalar, dtype, value)).collect();
        format!("b{position}[{index}] = vec4<{}>({});", binding.scalar, values.join(", "))
    }
}

fn from_storage(scalar: &str, dtype: DType, element: &str) -> String {
    let own = literal::storage_type(dtype);
    let element =
        if scalar == own { element.to_owned() } else { format!("bitcast<{own}>({element})") };
    match dtype {
        DType::F16 => format!("f32({element})"),
        DType::Bool => format!("({element} != 0u)"),
        DType::F32
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
    let own = literal::storage_type(dtype);
    let stored = match dtype {
        DType::F16 => format!("f16(gl_round_f16({value}))"),
        DType::BF16 => format!("gl_round_bf16({value})"),
        DType::I8 => literal::signed_byte(value),
        DType::U8 => format!("({value} & 255u)"),
        DType::Bool => format!("select(0u, 1u, {value})"),
        DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U32 => value.to_owned(),
    };
    if scalar == own { stored } else { format!("bitcast<{scalar}>({stored})") }
}
