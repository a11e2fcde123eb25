//! The `quantization_config` of a `config.json`.

use super::format::Format;
use crate::language::Scheme;
use gradloom_tensor::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

/// Groups of modules with one scheme.
pub(super) struct Schemes {
    groups: Vec<Group>,
    ignored: Vec<String>,
}

struct Group {
    targets: Vec<String>,
    scheme: Scheme,
    format: Format,
}

fn malformed(message: String) -> Error {
    Error::new(ErrorKind::Malformed, format!("quantization_config: {message}"))
}

fn unsupported(message: String) -> Error {
    Error::new(ErrorKind::Unsupported, format!("quantization_config: {message}"))
}

/// What a configuration says of `scheme` and the modules that have it.
pub(super) fn group(scheme: Scheme, targets: &[&str], format: Format) -> Value {
    let weights = json!({
        "num_bits": scheme.bits(),
        "type": "int",
        "symmetric": scheme.is_symmetric(),
        "strategy": if scheme.group_size().is_some() { "group" } else { "channel" },
        "group_size": scheme.group_size(),
        "dynamic": false,
        "observer": "minmax",
    });
    json!({
        "targets": targets,
        "weights": weights,
        "input_activations": null,
        "output_activations": null,
        "format": format.name(),
    })
}

impl Schemes {
    /// Of a whole `config.json`.
    pub(super) fn read(config: &Value) -> Result<Schemes> {
        let Some(described) =
            config.get("quantization_config").or_else(|| config.get("compression_config"))
        else {
            return Err(malformed(
                "there is none in config.json; the folder is not compressed".into(),
            ));
        };
        let method = described.get("quant_method").and_then(Value::as_str);
        if method != Some("compressed-tensors") {
            return Err(unsupported(format!(
                "quant_method is {method:?}; compressed-tensors is read"
            )));
        }
        let whole = described.get("format").and_then(Value::as_str);
        let none = Map::new();
        let groups = described.get("config_groups").and_then(Value::as_object).unwrap_or(&none);
        let groups = groups.iter().map(|(name, group)| {
            Group::read(group, whole)
                .map_err(|error| error.context(format!("config_groups.{name}")))
        });
        let groups = groups.collect::<Result<Vec<Group>>>()?;
        if groups.is_empty() {
            return Err(malformed("no config_groups".into()));
        }
        Ok(Schemes { groups, ignored: texts(described.get("ignore")) })
    }

    /// The scheme of a module.
    pub(super) fn of(&self, module: &str) -> Result<(Scheme, Format)> {
        let whole = |target: &String| target == "Linear";
        let named = self
            .groups
            .iter()
            .find(|group| group.targets.iter().any(|target| names(target, module)));
        let group =
            named.or_else(|| self.groups.iter().find(|group| group.targets.iter().any(whole)));
        let ignored = self.ignored.iter().any(|target| names(target, module));
        match group.filter(|_| !ignored) {
            Some(group) => Ok((group.scheme, group.format)),
            None => {
                Err(malformed(format!("{module} is quantized, but no group has it as its target")))
            }
        }
    }
}

/// Whether a target is this module: by its name, or `re:` and an expression of which plain text and `.*` are known.
fn names(target: &str, module: &str) -> bool {
    let Some(expression) = target.strip_prefix("re:") else { return target == module };
    let expression = expression.trim_start_matches('^');
    let (expression, ends) = match expression.strip_suffix('$') {
        Some(expression) => (expression, true),
        None => (expression, false),
    };
    let parts: Vec<String> = expression.split(".*").map(|part| part.replace('\\', "")).collect();
    let Some(mut rest) = module.strip_prefix(parts[0].as_str()) else { return false };
    for part in &parts[1..] {
        let Some(place) = rest.find(part.as_str()) else { return false };
        rest = &rest[place + part.len()..];
    }
    let open = parts.len() > 1 && parts.last().is_some_and(String::is_empty);
    !ends
        || rest.is_empty()
        || open
        || (parts.len() > 1 && module.ends_with(parts[parts.len() - 1].as_str()))
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let values = value.and_then(Value::as_array).into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Group {
    fn read(group: &Value, format: Option<&str>) -> Result<Group> {
        let format =
            group.get("format").and_then(Value::as_str).or(format).unwrap_or("pack-quantized");
        let format = [Format::PackQuantized, Format::IntQuantized]
            .into_iter()
            .find(|known| known.name() == format)
            .ok_or_else(|| {
                unsupported(format!("format {format:?}; pack-quantized and int-quantized are read"))
            })?;
        let weights = group.get("weights").filter(|weights| weights.is_object());
        let weights = weights.ok_or_else(|| malformed("no weights".into()))?;
        let kind = weights.get("type").and_then(Value::as_str).unwrap_or("int");
        if kind != "int" || group.get("input_activations").is_some_and(|inputs| !inputs.is_null()) {
            return Err(unsupported(format!(
                "weights of {kind}, or quantized activations; integer weights alone are read"
            )));
        }
        let bits = weights.get("num_bits").and_then(Value::as_u64).unwrap_or(8);
        if !(2..=8).contains(&bits) {
            return Err(unsupported(format!("num_bits is {bits}; 2 to 8 are read")));
        }
        let strategy = weights.get("strategy").and_then(Value::as_str);
        let size = weights.get("group_size").and_then(Value::as_i64);
        let scheme = Scheme::new(bits as u32);
        let scheme = match (strategy, size) {
            (Some("group") | None, Some(size @ 1..)) => scheme.group(size as usize),
            (Some("channel"), _) | (None, Some(-1)) => scheme.per_channel(),
            _ => {
                return Err(unsupported(format!(
                    "strategy {strategy:?} with group_size {size:?}; group and channel are read"
                )));
            }
        };
        let symmetric = weights.get("symmetric").and_then(Value::as_bool).unwrap_or(true);
        let scheme = if symmetric { scheme } else { scheme.asymmetric() };
        Ok(Group { targets: texts(group.get("targets")), scheme, format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_targets_match_names() {
        assert!(names("re:.*self_attn.*", "model.layers.0.self_attn.q_proj"));
        assert!(names("re:.*down_proj$", "model.layers.1.mlp.down_proj"));
        assert!(!names("re:.*down_proj$", "model.layers.1.mlp.up_proj"));
        assert!(names("re:model\\.layers\\.0\\..*", "model.layers.0.mlp.up_proj"));
        assert!(!names("lm_head", "model.lm_head"));
    }

    #[test]
    fn what_is_not_read_is_said() {
        let of = |text: &str| {
            Schemes::read(&serde_json::from_str(text).unwrap()).err().unwrap().to_string()
        };
        assert!(of("{}").contains("is not compressed"));
        assert!(of(r#"{"quantization_config":{"quant_method":"awq"}}"#).contains("awq"));
        let base = r#"{"quantization_config":{"quant_method":"compressed-tensors","format":"F","config_groups":{"g":{"targets":["Linear"],"weights":W}}}}"#;
        let with =
            |format: &str, weights: &str| of(&base.replace('F', format).replace('W', weights));
        assert!(with("float-quantized", "{}").contains("float-quantized"));
        assert!(with("pack-quantized", "3").contains("no weights"));
        assert!(with("pack-quantized", r#"{"num_bits":64}"#).contains("64"));
        assert!(
            with("pack-quantized", r#"{"num_bits":4,"strategy":"group","group_size":0}"#)
                .contains("strategy")
        );
        assert!(with("pack-quantized", r#"{"num_bits":4,"type":"float"}"#).contains("float"));
    }
}
