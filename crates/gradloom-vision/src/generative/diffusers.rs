//! Networks of diffusion as diffusers saves them: a folder with `config.json` and weights.

use std::path::Path;

use super::diffusion_unet::{DiffusionUNet, DiffusionUNetConfig};
use crate::{Error, Result, error};
use gradloom_nn::{Init, LoadOptions, ModuleExt, StateDict};
use gradloom_tensor::{Device, ErrorKind, Key, commit};
use gradloom_weights::{Checkpoint, ReadOptions};
use serde::Deserialize;
use serde_json::Value;

const FAMILY: &str = "diffusion_unet";

/// What a configuration says; what is missing has the values of `UNet2DModel`.
#[derive(Deserialize)]
#[serde(default)]
struct UNet2DModel {
    in_channels: usize,
    out_channels: usize,
    block_out_channels: Vec<usize>,
    down_block_types: Vec<String>,
    up_block_types: Vec<String>,
    layers_per_block: usize,
    attention_head_dim: Option<usize>,
    norm_num_groups: usize,
    norm_eps: f64,
    dropout: f64,
    num_class_embeds: Option<usize>,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    downsample_padding: usize,
}

impl Default for UNet2DModel {
    fn default() -> Self {
        let names = |attends: [bool; 4], way: &str| {
            let name = |attends| {
                if attends { format!("Attn{way}Block2D") } else { format!("{way}Block2D") }
            };
            attends.map(name).to_vec()
        };
        UNet2DModel {
            in_channels: 3,
            out_channels: 3,
            block_out_channels: vec![224, 448, 672, 896],
            down_block_types: names([false, true, true, true], "Down"),
            up_block_types: names([true, true, true, false], "Up"),
            layers_per_block: 2,
            attention_head_dim: Some(8),
            norm_num_groups: 32,
            norm_eps: 1e-5,
            dropout: 0.0,
            num_class_embeds: None,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            downsample_padding: 1,
        }
    }
}

/// What diffusers calls the file of weights, best first.
const FILES: [&str; 2] = ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"];

/// What has one form here, with the value that says so.
const FIXED: [(&str, &str); 11] = [
    ("_class_name", "\"UNet2DModel\""),
    ("act_fn", "\"silu\""),
    ("add_attention", "true"),
    ("attn_norm_num_groups", "null"),
    ("center_input_sample", "false"),
    ("class_embed_type", "null"),
    ("downsample_type", "\"conv\""),
    ("mid_block_scale_factor", "1"),
    ("resnet_time_scale_shift", "\"default\""),
    ("time_embedding_type", "\"positional\""),
    ("upsample_type", "\"conv\""),
];

impl DiffusionUNetConfig {
    /// Of the text of a `config.json` of diffusers' `UNet2DModel`. Of its `num_class_embeds` labels the last one counts
    /// as none.
    ///
    /// # Errors
    /// If it is no JSON, or asks for what this network has not; the message names it.
    pub fn from_json(text: &str) -> Result<Self> {
        let refuse = |message: String| Err(error::config(FAMILY, message));
        let malformed = |error| Error::caused(ErrorKind::Config, FAMILY, error);
        let all: Value = serde_json::from_str(text).map_err(malformed)?;
        for (name, wanted) in FIXED {
            let Some(value) = all.get(name) else { continue };
            let said = value.to_string();
            // A number may be written with a fraction.
            if said.strip_suffix(".0").unwrap_or(&said) != wanted {
                return refuse(format!("{name} is {value}; only {wanted} is known"));
            }
        }
        let model: UNet2DModel = serde_json::from_value(all).map_err(malformed)?;
        let levels = model.block_out_channels.len();
        let attention = |types: &[String], way: &str| -> Result<Vec<usize>> {
            let [plain, attends] = [format!("{way}Block2D"), format!("Attn{way}Block2D")];
            if let Some(other) = types.iter().find(|&name| *name != plain && *name != attends) {
                let message = format!("a block {other:?}; there are {plain} and {attends}");
                return Err(error::config(FAMILY, message));
            }
            let found = types.iter().enumerate().filter(|(_, name)| **name == attends);
            Ok(found.map(|(level, _)| level).collect())
        };
        let down = attention(&model.down_block_types, "Down")?;
        let mut upwards = model.up_block_types.clone();
        upwards.reverse();
        let up = attention(&upwards, "Up")?;
        if model.down_block_types.len() != levels || upwards.len() != levels || down != up {
            return refuse(format!(
                "blocks {:?} down and {:?} up for {levels} sizes; both ways have the same",
                model.down_block_types, model.up_block_types
            ));
        }
        if model.in_channels != model.out_channels || model.downsample_padding > 1 {
            return refuse(format!(
                "{} channels in and {} out, steps down padded by {}",
                model.in_channels, model.out_channels, model.downsample_padding
            ));
        }
        Ok(DiffusionUNetConfig {
            channels: model.in_channels,
            widths: model.block_out_channels,
            blocks: model.layers_per_block,
            attention: down,
            head_size: model.attention_head_dim,
            groups: model.norm_num_groups,
            epsilon: model.norm_eps,
            dropout: model.dropout,
            classes: model.num_class_embeds.map(|count| count.saturating_sub(1)),
            cosines_first: model.flip_sin_to_cos,
            shift: model.freq_shift,
            pads_after: model.downsample_padding == 0,
        })
    }
}

/// The network's name for one in a file: attention had others once.
fn renamed(name: &str) -> String {
    let old = [
        (".query.", ".to_q."),
        (".key.", ".to_k."),
        (".value.", ".to_v."),
        (".proj_attn.", ".to_out.0."),
    ];
    let found = old.iter().find(|(old, _)| name.contains(old));
    found.map_or_else(|| name.to_owned(), |(old, new)| name.replacen(old, new, 1))
}

impl DiffusionUNet {
    /// Reads a folder that diffusers saved: `config.json`, and weights in whatever format [`Checkpoint::open`] finds.
    /// Floats of other types become f32.
    ///
    /// # Errors
    /// If a file is missing or damaged, the configuration asks for what this network has not, or weights are missing,
    /// left over, or of other shapes; the message names them.
    pub fn from_folder(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let context = || format!("loading {FAMILY} from {}", folder.display());
        let text = std::fs::read_to_string(folder.join("config.json"))
            .map_err(|error| Error::caused(ErrorKind::of_io(&error), context(), error))?;
        let config = DiffusionUNetConfig::from_json(&text)?;
        let failed = |error| error::weights(context(), error);
        let own = FILES.iter().map(|file| folder.join(file)).find(|path| path.is_file());
        let checkpoint = Checkpoint::open(own.as_deref().unwrap_or(folder)).map_err(failed)?;
        let mut weights = StateDict::new();
        for name in checkpoint.names() {
            let options = ReadOptions::new().floats_as_f32();
            let tensor = checkpoint.tensor_with(name, &options, device).map_err(failed)?;
            weights.insert(renamed(name), tensor);
        }
        let mut model = DiffusionUNet::new(&config, &mut Init::new(Key::new(0), device))?;
        model.load_state_dict(&weights, &LoadOptions::strict().cast()).map_err(failed)?;
        commit(&mut model).map_err(|error| error.context(context()))?;
        Ok(model)
    }
}
