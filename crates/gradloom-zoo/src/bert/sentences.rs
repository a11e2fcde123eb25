//! [`SentenceEncoder`]: a published encoder as a layer, from tokens to one vector for each text.
//!
//! It is what a new head is put on. Where sentences are compared instead, their vectors have length 1:
//! [`normalized`](SentenceEncoder::normalized).

use crate::bert::{BertConfig, BertInput, BertModel, mean_pooled, names};
use crate::{Pretrained, Result};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;

/// The mean of the hidden states of the tokens that are no padding: tokens `[B, T]` of any integer dtype to
/// `[B, E]`. The tokens alone say which are padding, so texts may simply be filled up.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer, ModuleExt, Sequential};
/// use gradloom_tensor::{Key, Tensor};
/// use gradloom_zoo::{BertConfig, Pretrained, SentenceEncoder};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// # let config = BertConfig {
/// #     vocab_size: 20, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2,
/// #     intermediate_size: 16, max_position_embeddings: 8, ..BertConfig::default()
/// # };
/// # let init = &mut Init::new(Key::new(0), &device);
/// let encoder = SentenceEncoder::new(&config, init)?; // or from_folder("assets/minilm", &device)?
/// let head = Linear::new(encoder.size(), 2, init);
/// let mut model = Sequential::new().with_named("encoder", encoder).with_named("head", head);
/// model.set_trainable(false, |name| name.starts_with("encoder."));
/// let tokens = Tensor::new([[5, 6, 7], [8, 0, 0]], &device)?; // 0 is padding
/// assert_eq!(model.forward(&tokens, &mut Context::eval()).shape(), &[2, 2]);
/// # Ok(())
/// # }
/// ```
///
/// Python: `SentenceTransformer` with mean pooling. Reimers, Gurevych, "Sentence-BERT", 2019.
#[derive(Module, Clone, Debug)]
pub struct SentenceEncoder {
    /// The encoder, without a pooler.
    pub bert: BertModel,
    padding: usize,
    normalized: bool,
}

impl SentenceEncoder {
    /// E: numbers of a text's vector.
    pub fn size(&self) -> usize {
        self.bert.embeddings.word_embeddings.weight.size(1)
    }

    /// Whether vectors are scaled to length 1, as for a search by cosines. They are not unless said otherwise.
    #[must_use]
    pub fn normalized(mut self, normalized: bool) -> Self {
        self.normalized = normalized;
        self
    }
}

impl Layer for SentenceEncoder {
    /// Panics as [`BertModel::forward`]. A text of padding alone gives zeros.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let mask = x.ne(x.constant_like(self.padding as i64));
        let input = BertInput::new(x).mask(&mask);
        let hidden = ctx.within("bert", |ctx| self.bert.forward(&input, ctx)).last_hidden_state;
        let pooled = mean_pooled(&hidden, Some(&mask));
        if self.normalized { pooled.normalize(-1, 1e-12) } else { pooled }
    }
}

impl Pretrained for SentenceEncoder {
    type Config = BertConfig;

    fn new(config: &BertConfig, init: &mut Init) -> Result<Self> {
        let bert = BertModel::build(config, false, init)?;
        Ok(SentenceEncoder { bert, padding: config.pad_token_id.unwrap_or(0), normalized: false })
    }

    fn rename(name: &str) -> Option<String> {
        names::full(name)
            .filter(|name| name.starts_with("bert.") && !name.starts_with("bert.pooler."))
    }
}
