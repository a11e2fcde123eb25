//! [`SpecialTokens`]: the ids of tokens with a role, and how they are found in the files of a model.

use serde_json::{Map, Value};

/// Ids of the tokens with a role. `None` where a model has none or its files do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Beginning of text.
    pub bos: Option<u32>,
    /// End of text, or of a turn in models that chat.
    pub eos: Option<u32>,
    /// Stands for what the vocabulary cannot write.
    pub unk: Option<u32>,
    /// Fills up batches.
    pub pad: Option<u32>,
    /// Before the first text, in encoders.
    pub cls: Option<u32>,
    /// Between and behind texts, in encoders.
    pub sep: Option<u32>,
    /// To be guessed, in encoders.
    pub mask: Option<u32>,
}

/// The roles, the names of their fields in Hugging Face's files, and what the tokens are usually called.
const ROLES: [(&str, &[&str]); 7] = [
    ("bos_token", &["<s>", "<|begin_of_text|>", "<bos>"]),
    ("eos_token", &["</s>", "<eos>"]),
    ("unk_token", &["[UNK]", "<unk>"]),
    ("pad_token", &["[PAD]", "<pad>"]),
    ("cls_token", &["[CLS]"]),
    ("sep_token", &["[SEP]"]),
    ("mask_token", &["[MASK]", "<mask>"]),
];

impl SpecialTokens {
    fn roles(&mut self) -> [&mut Option<u32>; 7] {
        let SpecialTokens { bos, eos, unk, pad, cls, sep, mask } = self;
        [bos, eos, unk, pad, cls, sep, mask]
    }

    /// The tokens that are usually called so, as far as the vocabulary has them.
    pub(crate) fn guess(id_of: impl Fn(&str) -> Option<u32>) -> Self {
        let mut tokens = Self::default();
        for ((_, usual), role) in ROLES.iter().zip(tokens.roles()) {
            *role = usual.iter().find_map(|token| id_of(token));
        }
        tokens
    }

    /// What a configuration file names goes before what was known. A name that the vocabulary lacks is
    /// returned.
    pub(crate) fn read_config(
        &mut self,
        config: &Map<String, Value>,
        id_of: impl Fn(&str) -> Option<u32>,
    ) -> Option<String> {
        let mut missing = None;
        for ((field, _), role) in ROLES.iter().zip(self.roles()) {
            let Some(token) = config.get(*field).and_then(token_text) else { continue };
            match id_of(token) {
                Some(id) => *role = Some(id),
                None => missing = Some(format!("{field} {token:?}")),
            }
        }
        missing
    }
}

/// The text of a token, which files write as a string or as an object with `content`.
pub(crate) fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// The fields that name tokens with a role, for chat templates.
pub(crate) fn role_names() -> impl Iterator<Item = &'static str> {
    ROLES.iter().map(|(field, _)| *field)
}
