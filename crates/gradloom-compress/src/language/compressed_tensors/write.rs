//! [`Export`]: writing a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::format::Format;
use super::packing::pack;
use super::schemes;
use crate::language::{QuantizedMatrix, QuantizedWeights, Scheme};
use gradloom_nn::{Module, ModuleExt};
use gradloom_tensor::{DType, Device, Error, ErrorKind, Result, Tensor};
use gradloom_weights::safetensors;
use serde_json::{Map, Value, json};

/// Files beside weights that belong to a tokenizer or to generation.
const BESIDE: [&str; 10] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
];

/// A folder to be written.
///
/// vLLM and transformers load it. Transformers 5.23 with compressed-tensors 0.20 must be told
/// `quantization_config=CompressedTensorsConfig(dequantize=True)` for asymmetric schemes: the modules that it makes
/// otherwise have zeros that are not packed.
///
/// ```no_run
/// use gradloom_compress::language::compressed_tensors::Export;
/// # use gradloom_compress::language::QuantizedWeights;
/// # fn f(model: gradloom_zoo::LlamaForCausalLanguageModel, weights: QuantizedWeights) -> gradloom_tensor::Result<()> {
/// let config = std::fs::read("SmolLM/config.json")?;
/// Export::new(&config)?.tokenizer_of("SmolLM").save(&model, &weights, "SmolLM-int4")
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Export {
    config: Map<String, Value>,
    format: Format,
    beside: Option<PathBuf>,
}

impl Export {
    /// Of a model with this `config.json`.
    ///
    /// # Errors
    /// If it is no object of JSON.
    pub fn new(config: impl AsRef<[u8]>) -> Result<Self> {
        let config = serde_json::from_slice(config.as_ref()).map_err(|error| {
            Error::caused(ErrorKind::Config, "compressed-tensors: config.json", error)
        })?;
        Ok(Export { config, format: Format::default(), beside: None })
    }

    /// How integers are stored.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Copies the files of the tokenizer from this folder.
    #[must_use]
    pub fn tokenizer_of(mut self, folder: impl Into<PathBuf>) -> Self {
        self.beside = Some(folder.into());
        self
    }

    /// Writes the folder, and makes it if it is not there: the model's parameters under their names, which must be
    /// those of the original, with the quantized ones as integers. Everything else is written as it is.
    ///
    /// # Errors
    /// If a quantized weight is not in the model, its codes cannot be stored so, or a file cannot be written.
    pub fn save(
        &self,
        model: &impl Module,
        weights: &QuantizedWeights,
        folder: impl AsRef<Path>,
    ) -> Result<()> {
        let folder = folder.as_ref();
        let (tensors, config) = self.contents(model, weights)?;
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::from(error).context(folder.display().to_string()))?;
        if let Some(beside) = &self.beside {
            for name in BESIDE {
                let from = beside.join(name);
                if from.is_file() {
                    let text = std::fs::read(&from)
                        .map_err(|error| Error::from(error).context(from.display().to_string()))?;
                    gradloom_files::write(folder.join(name), &text)?;
                }
            }
        }
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        let named = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
        safetensors::save(folder.join("model.safetensors"), named, &metadata)?;
        let text = serde_json::to_vec_pretty(&config)
            .map_err(|error| Error::other("compressed-tensors: config.json", error))?;
        gradloom_files::write(folder.join("config.json"), &text)
    }

    fn contents(
        &self,
        model: &impl Module,
        weights: &QuantizedWeights,
    ) -> Result<(BTreeMap<String, Tensor>, Value)> {
        let (mut tensors, mut left) = (BTreeMap::new(), BTreeSet::new());
        for (name, parameter) in model.parameters() {
            let module = name.strip_suffix(".weight").unwrap_or(&name).to_owned();
            match weights.get(&name) {
                Some(matrix) => {
                    if [matrix.outputs(), matrix.inputs()] != **parameter.shape()
                        || weights.is_inputs_first(&name)
                    {
                        let shape = parameter.shape();
                        let message =
                            format!("{name} is {shape}, not [outputs, inputs] as quantized");
                        return Err(Error::new(
                            ErrorKind::Mismatch,
                            format!("compressed-tensors: {message}"),
                        ));
                    }
                    let parts = self.stored(matrix, parameter.device());
                    let parts = parts
                        .map_err(|error| error.context(format!("compressed-tensors: {name}")))?;
                    tensors.extend(
                        parts
                            .into_iter()
                            .map(|(part, tensor)| (format!("{module}.{part}"), tensor)),
                    );
                }
                None => {
                    if parameter.rank() == 2 {
                        left.insert(module);
                    }
                    tensors.insert(name, parameter.tensor().detach());
                }
            }
        }
        if let Some((name, _)) = weights.iter().find(|(name, _)| model.parameter(name).is_none()) {
            let message = format!("compressed-tensors: the model has no parameter {name}");
            return Err(Error::new(ErrorKind::Mismatch, message));
        }
        // Models whose logits are products with the table of tokens still have a head there.
        left.insert("lm_head".to_owned());
        let mut config = self.config.clone();
        config.insert("quantization_config".into(), self.described(weights, &left));
        config.entry("torch_dtype").or_insert_with(|| json!("float32"));
        Ok((tensors, Value::Object(config)))
    }

    fn described(&self, weights: &QuantizedWeights, left: &BTreeSet<String>) -> Value {
        let mut modules: BTreeMap<String, (Scheme, Vec<&str>)> = BTreeMap::new();
        for (name, matrix) in weights.iter() {
            let entry = modules.entry(matrix.scheme().to_string());
            let (_, names) = entry.or_insert_with(|| (matrix.scheme(), Vec::new()));
            names.push(name.strip_suffix(".weight").unwrap_or(name));
        }
        let alone = modules.len() == 1;
        let groups = modules.values().enumerate().map(|(number, (scheme, names))| {
            let targets: &[&str] = if alone { &["Linear"] } else { names };
            (format!("group_{number}"), schemes::group(*scheme, targets, self.format))
        });
        json!({
            "quant_method": "compressed-tensors",
            "format": self.format.name(),
            "quantization_status": "compressed",
            "config_groups": groups.collect::<Map<String, Value>>(),
            "ignore": left,
            "kv_cache_scheme": null,
            "global_compression_ratio": null,
        })
    }

    /// The tensors of a weight, by what follows the module's name.
    fn stored(
        &self,
        matrix: &QuantizedMatrix,
        device: &Device,
    ) -> Result<Vec<(&'static str, Tensor)>> {
        let (outputs, inputs, groups) = (matrix.outputs(), matrix.inputs(), matrix.groups());
        let scheme = matrix.scheme();
        let unsupported =
            |message: &str| Err(Error::new(ErrorKind::Unsupported, format!("{scheme}: {message}")));
        if matrix.order().is_some() {
            return unsupported(
                "groups of columns in the order of activations are not loaded by the library; quantize with \
                 `by_activation_static`",
            );
        }
        let scale = Tensor::from_slice(matrix.scales(), [outputs, groups], device)?;
        if self.format == Format::IntQuantized {
            if scheme.bits() != 8 || !scheme.is_symmetric() || groups != 1 {
                return unsupported("int-quantized has 8 bits, symmetric, per channel");
            }
            let codes: Vec<i8> =
                matrix.codes().iter().map(|code| (code ^ 0x80).cast_signed()).collect();
            let codes = Tensor::from_slice(&codes, [outputs, inputs], device)?;
            return Ok(vec![("weight", codes), ("weight_scale", scale)]);
        }
        let words: Vec<i32> = matrix
            .codes()
            .chunks_exact(inputs)
            .flat_map(|row| pack(row.iter().copied(), scheme.bits()))
            .collect();
        let shape = [outputs as i32, inputs as i32];
        let shape = Tensor::from_slice(&shape, [2], device)?;
        let wide = device.capabilities().i64;
        let mut parts = vec![
            (
                "weight_packed",
                Tensor::from_slice(&words, [outputs, words.len() / outputs], device)?,
            ),
            ("weight_scale", scale),
            ("weight_shape", if wide { shape.cast(DType::I64) } else { shape }),
        ];
        if !scheme.is_symmetric() {
            let top = f32::from(scheme.top());
            if matrix.zeros().iter().any(|zero| zero.fract() != 0.0 || !(0.0..=top).contains(zero))
            {
                return unsupported(
                    "zeros are no integers of so many bits; `Hqq::whole_zeros` rounds them",
                );
            }
            let columns: Vec<Vec<i32>> = (0..groups)
                .map(|group| {
                    pack(
                        (0..outputs).map(|row| matrix.zeros()[row * groups + group] as u8),
                        scheme.bits(),
                    )
                })
                .collect();
            let rows = columns.first().map_or(0, Vec::len);
            let words: Vec<i32> =
                (0..rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
            parts.push(("weight_zero_point", Tensor::from_slice(&words, [rows, groups], device)?));
        }
        Ok(parts)
    }
}
