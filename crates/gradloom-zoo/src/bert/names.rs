//! How names in files of BERT and RoBERTa become names of the models here.

/// Heads that files carry beside the encoder.
const HEADS: [&str; 4] = ["cls.", "classifier.", "qa_outputs.", "lm_head."];

/// The name in a model that has the encoder under `bert.`; none for buffers and tied weights.
pub(super) fn full(name: &str) -> Option<String> {
    // Once saved with the weights: the numbers 0, 1, 2, ...
    if name.ends_with("position_ids") {
        return None;
    }
    // The predictions use the table of tokens, and name their one bias twice.
    if name.starts_with("cls.predictions.decoder.") || name.starts_with("lm_head.decoder.") {
        return None;
    }
    let name = from_roberta(name);
    // The spelling of the first checkpoints.
    let name = name.replace("LayerNorm.gamma", "LayerNorm.weight");
    let name = name.replace("LayerNorm.beta", "LayerNorm.bias");
    let known = name.starts_with("bert.") || HEADS.iter().any(|head| name.starts_with(head));
    Some(if known { name } else { format!("bert.{name}") })
}

/// The name in the encoder alone; none for heads.
pub(super) fn encoder(name: &str) -> Option<String> {
    full(name)?.strip_prefix("bert.").map(str::to_owned)
}

/// RoBERTa's heads have the formulas of BERT's under other names: what classifies is a pooler and a
/// linear layer.
fn from_roberta(name: &str) -> String {
    const PARTS: [(&str, &str); 6] = [
        ("roberta.", "bert."),
        ("lm_head.dense.", "cls.predictions.transform.dense."),
        ("lm_head.layer_norm.", "cls.predictions.transform.LayerNorm."),
        ("lm_head.bias", "cls.predictions.bias"),
        ("classifier.dense.", "bert.pooler.dense."),
        ("classifier.out_proj.", "classifier."),
    ];
    for (theirs, ours) in PARTS {
        if let Some(rest) = name.strip_prefix(theirs) {
            return format!("{ours}{rest}");
        }
    }
    name.to_owned()
}
