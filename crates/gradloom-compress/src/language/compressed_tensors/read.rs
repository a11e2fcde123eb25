//! [`Folder`]: reading what was written here or by llm-compressor.

use std::collections::BTreeSet;
use std::path::Path;

use super::format::Format;
use super::packing::{unpack, words};
use super::schemes::Schemes;
use crate::language::{QuantizedMatrix, QuantizedWeights, Scheme};
use gradloom_nn::StateDict;
use gradloom_tensor::{DType, Device, Error, ErrorKind, Result, Tensor};
use gradloom_weights::Checkpoint;

/// Nobody writes configurations of more bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 24;

/// An opened folder.
///
/// ```no_run
/// use gradloom_compress::language::compressed_tensors::Folder;
/// use gradloom_zoo::{LlamaForCausalLanguageModel, Pretrained, config_in};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let folder = Folder::open("SmolLM-int4", &device)?;
/// let weights = folder.state_dict()?;
/// let model = LlamaForCausalLanguageModel::from_weights(&config_in("SmolLM-int4")?, &weights, &device)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Folder {
    checkpoint: Checkpoint,
    device: Device,
    plain: Vec<String>,
    quantized: QuantizedWeights,
}

impl Folder {
    /// Reads `config.json` and the integers; other tensors are read when they are asked for.
    ///
    /// # Errors
    /// If a file is missing or damaged, the folder is not compressed or in a format that is not read, or tensors do
    /// not fit what `config.json` says; the message names them.
    pub fn open(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let name = folder.display().to_string();
        let path = folder.join("config.json");
        let failed = |error: std::io::Error| Error::from(error).context(path.display().to_string());
        let size = std::fs::metadata(&path).map_err(failed)?.len();
        if size > CONFIG_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("{}: {size} bytes", path.display()),
            ));
        }
        let config = std::fs::read(&path).map_err(failed)?;
        Folder::of(&config, Checkpoint::open(folder)?, device).map_err(|error| error.context(name))
    }

    /// Of what is in memory: the bytes of `config.json` and the weights.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub fn of(config: &[u8], checkpoint: Checkpoint, device: &Device) -> Result<Self> {
        let config = serde_json::from_slice(config)
            .map_err(|error| Error::caused(ErrorKind::Malformed, "config.json", error))?;
        let schemes = Schemes::read(&config)?;
        let parts =
            ["weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx"];
        let quantized = |name: &str| name.strip_suffix(".weight_scale").map(str::to_owned);
        let modules: BTreeSet<String> = checkpoint.names().filter_map(quantized).collect();
        let belongs = |name: &str| {
            name.rsplit_once('.').is_some_and(|(module, part)| {
                modules.contains(module) && (part == "weight" || parts.contains(&part))
            })
        };
        let plain = checkpoint.names().filter(|name| !belongs(name)).map(str::to_owned).collect();
        let reader = Reader { checkpoint: &checkpoint, device };
        let mut matrices = Vec::new();
        for module in modules {
            let (scheme, format) = schemes.of(&module)?;
            let matrix =
                reader.matrix(&module, scheme, format).map_err(|error| error.context(&module))?;
            matrices.push((format!("{module}.weight"), matrix));
        }
        let quantized = QuantizedWeights::from_matrices(matrices);
        Ok(Folder { checkpoint, device: device.clone(), plain, quantized })
    }

    /// The quantized matrices by the names that their weights would have.
    pub fn quantized(&self) -> &QuantizedWeights {
        &self.quantized
    }

    /// All weights, quantized ones as the numbers that they stand for.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn state_dict(&self) -> Result<StateDict> {
        self.tensors(&|matrix| matrix.dequantize().to_tensor(false, &self.device))
    }

    /// All weights, quantized ones as matrices over [blocks](QuantizedMatrix::to_blocks) where a format has the same
    /// codes.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn state_dict_of_blocks(&self) -> Result<StateDict> {
        self.tensors(&|matrix| match matrix.block_format() {
            Some(_) => matrix.to_blocks(&self.device),
            None => matrix.dequantize().to_tensor(false, &self.device),
        })
    }

    fn tensors(&self, tensor: &dyn Fn(&QuantizedMatrix) -> Result<Tensor>) -> Result<StateDict> {
        let mut weights = StateDict::new();
        for name in &self.plain {
            weights.insert(name.clone(), self.checkpoint.tensor(name, &self.device)?);
        }
        for (name, matrix) in self.quantized.iter() {
            weights.insert(name, tensor(matrix).map_err(|error| error.context(name))?);
        }
        Ok(weights)
    }
}

/// What reads the parts of a module.
struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    device: &'a Device,
}

fn malformed(message: String) -> Error {
    Error::new(ErrorKind::Malformed, message)
}

impl Reader<'_> {
    fn matrix(&self, module: &str, scheme: Scheme, format: Format) -> Result<QuantizedMatrix> {
        let (shape, codes) = match format {
            Format::IntQuantized => self.bytes(module, scheme)?,
            Format::PackQuantized => self.packed(module, scheme)?,
        };
        let [outputs, inputs] = shape;
        let groups = inputs / scheme.group_of(inputs)?;
        let scales = self.floats(&format!("{module}.weight_scale"), [outputs, groups])?;
        let name = format!("{module}.weight_zero_point");
        let zeros = match scheme.is_symmetric() {
            true => vec![f32::from(scheme.middle()); scales.len()],
            false => self.zeros(&name, [outputs, groups], scheme)?,
        };
        let order = format!("{module}.weight_g_idx");
        let order = self
            .checkpoint
            .entry(&order)
            .is_some()
            .then(|| self.integers(&order, &[inputs]))
            .transpose()?;
        let order =
            order.map(|order| order.into_iter().map(i32::cast_unsigned).collect::<Vec<u32>>());
        let order = order.filter(|order| {
            order.iter().enumerate().any(|(at, group)| at / (inputs / groups) != *group as usize)
        });
        QuantizedMatrix::from_parts(scheme, shape, codes, scales, zeros, order)
    }

    /// The shape and the codes of packed words.
    fn packed(&self, module: &str, scheme: Scheme) -> Result<([usize; 2], Vec<u8>)> {
        let shape = self.integers(&format!("{module}.weight_shape"), &[2])?;
        let size = |at: usize| usize::try_from(shape[at]).unwrap_or(0);
        let (outputs, inputs) = (size(0), size(1));
        if outputs == 0 || inputs == 0 {
            return Err(malformed(format!("weight_shape is {shape:?}")));
        }
        let columns = words(inputs, scheme.bits());
        let packed = self.integers(&format!("{module}.weight_packed"), &[outputs, columns])?;
        let rows = packed.chunks_exact(columns);
        Ok(([outputs, inputs], rows.flat_map(|row| unpack(row, inputs, scheme.bits())).collect()))
    }

    /// The shape and the codes of bytes.
    fn bytes(&self, module: &str, scheme: Scheme) -> Result<([usize; 2], Vec<u8>)> {
        let name = format!("{module}.weight");
        let shape = self.checkpoint.entry(&name).map(|entry| entry.shape.clone());
        let Some([outputs, inputs]) =
            shape.as_deref().and_then(|shape| <[usize; 2]>::try_from(shape).ok())
        else {
            return Err(malformed(format!("weight is {shape:?}, not a matrix")));
        };
        if scheme.bits() != 8 {
            return Err(malformed(format!("bytes with a scheme of {} bits", scheme.bits())));
        }
        let codes = self.checkpoint.tensor(&name, self.device)?;
        if codes.dtype() != DType::I8 {
            return Err(malformed(format!("weight is {}, not i8", codes.dtype())));
        }
        let codes = codes.to_vec::<i8>()?;
        Ok(([outputs, inputs], codes.into_iter().map(|code| code.cast_unsigned() ^ 0x80).collect()))
    }

    /// Zeros `[outputs, groups]`, packed along the outputs.
    fn zeros(&self, name: &str, [outputs, groups]: [usize; 2], scheme: Scheme) -> Result<Vec<f32>> {
        let rows = words(outputs, scheme.bits());
        let packed = self.integers(name, &[rows, groups])?;
        let mut zeros = vec![0.0; outputs * groups];
        for group in 0..groups {
            let column: Vec<i32> = (0..rows).map(|row| packed[row * groups + group]).collect();
            for (output, zero) in unpack(&column, outputs, scheme.bits()).into_iter().enumerate() {
                zeros[output * groups + group] = f32::from(zero);
            }
        }
        Ok(zeros)
    }

    fn integers(&self, name: &str, shape: &[usize]) -> Result<Vec<i32>> {
        self.expect(name, shape)?;
        let tensor = self.checkpoint.tensor(name, self.device)?;
        if tensor.dtype() != DType::I32 {
            return Err(malformed(format!(
                "{name} is {}, not integers of 32 or 64 bits",
                tensor.dtype()
            )));
        }
        tensor.to_vec::<i32>()
    }

    fn floats(&self, name: &str, shape: [usize; 2]) -> Result<Vec<f32>> {
        // One scale for each output may come as a vector.
        let vector = shape[1] == 1
            && self.checkpoint.entry(name).is_some_and(|entry| entry.shape == shape[..1]);
        self.expect(name, if vector { &shape[..1] } else { &shape })?;
        let tensor = self.checkpoint.tensor(name, self.device)?;
        if !tensor.dtype().is_float() {
            return Err(malformed(format!("{name} is {}, not floats", tensor.dtype())));
        }
        tensor.cast(DType::F32).to_vec::<f32>()
    }

    fn expect(&self, name: &str, shape: &[usize]) -> Result<()> {
        let missing = || Error::new(ErrorKind::Missing, format!("no tensor {name}"));
        let found = &self.checkpoint.entry(name).ok_or_else(missing)?.shape;
        if found != shape {
            return Err(malformed(format!(
                "{name} has shape {found:?}, config.json asks for {shape:?}"
            )));
        }
        Ok(())
    }
}
