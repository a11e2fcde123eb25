//! [`SoftPrompt`]: vectors before a text, learnt while the model is frozen.
//!
//! Letters: B batch, P vectors, T tokens, E features.

use crate::causal::CausalLanguageModel;
use crate::{Result, error};
use gradloom_nn::layers::KeyValueCache;
use gradloom_nn::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// Vectors `[P, E]` that stand before the rows of a text's tokens.
///
/// Lester, Al-Rfou, Constant, "The power of scale for parameter-efficient prompt tuning", 2021. Python:
/// `peft.PromptTuningConfig`. Freeze the model, give the vectors to each input with
/// [`CausalInput::prompt`](crate::CausalInput::prompt) or [`BertInput::prompt`](crate::BertInput::prompt),
/// and let the optimizer step on the prompt alone.
///
/// ```
/// use gradloom_nn::{AdamW, Context, Init, ModuleExt, Optimizer, gradients};
/// use gradloom_tensor::{Key, Tensor, commit};
/// use gradloom_zoo::adapters::SoftPrompt;
/// use gradloom_zoo::{
///     CausalInput, Gpt2Config, Gpt2ForCausalLanguageModel, ModelConfig, Pretrained,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = gradloom_testkit::reference::device();
/// # let json = r#"{"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 8, "vocab_size": 10}"#;
/// # let config = Gpt2Config::from_json(json)?;
/// # let init = &mut Init::new(Key::new(0), &device);
/// # let mut model = Gpt2ForCausalLanguageModel::new(&config, init)?;
/// model.freeze();
/// let mut prompt = SoftPrompt::new(3, 8, init);
/// let tokens = Tensor::new([[1, 2, 3]], &device)?;
/// let input = CausalInput::new(&tokens).prompt(&prompt.prompt_embeddings);
/// let logits = model.forward(&input, &mut Context::train(Key::new(1))).logits;
/// // The last vector says what the first token is.
/// let loss = logits.narrow(1, 2, 3).cross_entropy(&tokens);
/// let mut optimizer = AdamW::new(0.1);
/// optimizer.step(&gradients(&loss, &prompt), &mut prompt);
/// commit((&mut prompt, &mut optimizer))?;
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct SoftPrompt {
    /// `[P, E]`
    pub prompt_embeddings: Parameter,
}

impl SoftPrompt {
    /// Random vectors, normal with deviation 1 as `peft`'s.
    #[track_caller]
    pub fn new(vectors: usize, features: usize, init: &mut Init) -> Self {
        SoftPrompt { prompt_embeddings: init.normal([vectors, features], 1.0) }
    }

    /// The rows `[P]` of a table of tokens `[V, E]`: begins as the words of a prompt, which the paper
    /// found to learn better. A row outside the table fails the evaluation.
    ///
    /// # Panics
    /// If the rows are no list of integers.
    #[track_caller]
    pub fn from_rows(table: &Tensor, rows: &Tensor) -> Self {
        assert!(rows.rank() == 1, "soft prompt: rows of shape {}, not [P]", rows.shape());
        SoftPrompt { prompt_embeddings: Parameter::new(table.embedding(rows)) }
    }

    /// P.
    pub fn vectors(&self) -> usize {
        self.prompt_embeddings.size(0)
    }
}

/// A language model that begins every text with a prompt, for a
/// [`Generator`](crate::generation::Generator).
#[derive(Module, Clone, Debug)]
pub struct Prompted<M> {
    /// The model.
    pub model: M,
    /// What stands before every text.
    pub prompt: SoftPrompt,
}

impl<M: CausalLanguageModel> CausalLanguageModel for Prompted<M> {
    fn positions_max(&self) -> usize {
        self.model.positions_max().saturating_sub(self.prompt.vectors())
    }

    fn vocabulary(&self) -> usize {
        self.model.vocabulary()
    }

    fn embed(&self, tokens: &Tensor) -> Tensor {
        self.model.embed(tokens)
    }

    fn cache(&self, batch: usize, capacity: usize) -> Result<KeyValueCache> {
        self.model.cache(batch, capacity + self.prompt.vectors())
    }

    fn hidden_embedded(
        &self,
        embedded: &Tensor,
        cache: &mut KeyValueCache,
        ctx: &mut Context,
    ) -> Result<Tensor> {
        if cache.filled() == 0 {
            let vectors = self.prompt.prompt_embeddings.unsqueeze(0);
            let shape = [cache.batch(), vectors.size(1), vectors.size(2)];
            if shape[2] != embedded.size(2) {
                let size = embedded.size(2);
                return Err(error::generation(format!(
                    "the prompt has {} features, the model {size}",
                    shape[2]
                )));
            }
            cache.expect(cache.expected().map(|length| length + shape[1]));
            self.model.hidden_embedded(&vectors.broadcast_to(shape), cache, ctx)?;
            cache.end();
        }
        self.model.hidden_embedded(embedded, cache, ctx)
    }

    fn logits(&self, hidden: &Tensor) -> Tensor {
        self.model.logits(hidden)
    }
}
