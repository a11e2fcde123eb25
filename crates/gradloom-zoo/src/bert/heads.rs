//! Models with a task: BERT's encoder and a head.

use crate::bert::{BertConfig, BertInput, BertModel, names};
use crate::config::checked_activation;
use crate::linear::normal_linear;
use crate::{Pretrained, Result};
use gradloom_nn::layers::{Dropout, LayerNorm, Linear};
use gradloom_nn::{Activation, Context, Init, Layer, Module, Parameter};
use gradloom_tensor::Tensor;

/// BERT that says which tokens stand behind masked ones.
///
/// PyTorch: `transformers.BertForMaskedLM`, `transformers.RobertaForMaskedLM`.
#[derive(Module, Clone, Debug)]
pub struct BertForMaskedLanguageModel {
    /// The encoder, without a pooler.
    pub bert: BertModel,
    /// The head.
    pub cls: MaskedLanguagePredictions,
}

/// What [`BertForMaskedLanguageModel`] makes of tokens `[B, T]`.
#[derive(Clone, Debug)]
pub struct MaskedLanguageOutput {
    /// `[B, T, V]`
    pub logits: Tensor,
    /// `[B, T, E]`
    pub last_hidden_state: Tensor,
}

/// The head of a masked language model, as the files name it.
#[derive(Module, Clone, Debug)]
pub struct MaskedLanguagePredictions {
    /// The predictions of tokens.
    pub predictions: BertPredictionHead,
}

/// `transform(h) E^T + bias` with the table `E` of tokens: `[.., E] -> [.., V]`.
#[derive(Module, Clone, Debug)]
pub struct BertPredictionHead {
    /// Before the product.
    pub transform: BertTransform,
    /// `[V]`
    pub bias: Parameter,
}

/// A linear layer, the activation, a norm: `[.., E] -> [.., E]`.
#[derive(Module, Clone, Debug)]
pub struct BertTransform {
    /// `E -> E`
    pub dense: Linear,
    /// `[E]`
    #[module(rename = "LayerNorm")]
    pub layer_norm: LayerNorm,
    activation: Activation,
}

impl BertPredictionHead {
    fn new(config: &BertConfig, init: &mut Init) -> Self {
        let (size, deviation) = (config.hidden_size, config.initializer_range);
        let transform = BertTransform {
            dense: normal_linear(size, size, true, deviation, init),
            layer_norm: LayerNorm::new(size, init).epsilon(config.layer_norm_eps),
            activation: checked_activation(&config.hidden_act),
        };
        BertPredictionHead { transform, bias: init.zeros(config.vocab_size) }
    }

    #[track_caller]
    fn forward(&self, hidden: &Tensor, table: &Tensor, ctx: &mut Context) -> Tensor {
        let BertTransform { dense, layer_norm, activation } = &self.transform;
        let x = activation.apply(&dense.forward(hidden, ctx));
        layer_norm.forward(&x, ctx).matmul(&table.t()) + self.bias.tensor()
    }
}

impl BertForMaskedLanguageModel {
    /// Logits of tokens at every place.
    ///
    /// # Panics
    /// As [`BertModel::forward`].
    #[track_caller]
    pub fn forward(&self, input: &BertInput, ctx: &mut Context) -> MaskedLanguageOutput {
        let hidden = ctx.within("bert", |ctx| self.bert.forward(input, ctx)).last_hidden_state;
        let table = &self.bert.embeddings.word_embeddings.weight;
        let logits = self.cls.predictions.forward(&hidden, table, ctx);
        MaskedLanguageOutput { logits, last_hidden_state: hidden }
    }

    /// As [`forward`](BertForMaskedLanguageModel::forward), with logits `[M, V]` of the places `[M]`
    /// alone, counted through the batch: place `t` of text `b` is `b * T + t`. Seven times less work for
    /// the head where a seventh of the tokens is hidden.
    ///
    /// # Panics
    /// As [`BertModel::forward`]. A place outside the batch fails the evaluation.
    #[track_caller]
    pub fn forward_at(
        &self,
        input: &BertInput,
        places: &Tensor,
        ctx: &mut Context,
    ) -> MaskedLanguageOutput {
        let hidden = ctx.within("bert", |ctx| self.bert.forward(input, ctx)).last_hidden_state;
        let table = &self.bert.embeddings.word_embeddings.weight;
        let chosen = hidden.flatten(0, 1).index_select(0, places);
        let logits = self.cls.predictions.forward(&chosen, table, ctx);
        MaskedLanguageOutput { logits, last_hidden_state: hidden }
    }
}

impl Pretrained for BertForMaskedLanguageModel {
    type Config = BertConfig;

    fn new(config: &BertConfig, init: &mut Init) -> Result<Self> {
        let bert = BertModel::build(config, false, init)?;
        let predictions = BertPredictionHead::new(config, init);
        Ok(BertForMaskedLanguageModel { bert, cls: MaskedLanguagePredictions { predictions } })
    }

    fn rename(name: &str) -> Option<String> {
        let unused = ["bert.pooler.", "cls.seq_relationship."];
        names::full(name).filter(|name| !unused.iter().any(|part| name.starts_with(part)))
    }
}

/// BERT as it was trained first: masked tokens, and whether the second sentence follows the first.
///
/// PyTorch: `transformers.BertForPreTraining`.
#[derive(Module, Clone, Debug)]
pub struct BertForPreTraining {
    /// The encoder.
    pub bert: BertModel,
    /// The two heads.
    pub cls: PreTrainingHeads,
}

/// The heads of pre-training, as the files name them.
#[derive(Module, Clone, Debug)]
pub struct PreTrainingHeads {
    /// The predictions of tokens.
    pub predictions: BertPredictionHead,
    /// `E -> 2`
    pub seq_relationship: Linear,
}

/// What [`BertForPreTraining`] makes of tokens `[B, T]`.
#[derive(Clone, Debug)]
pub struct PreTrainingOutput {
    /// `[B, T, V]`
    pub logits: Tensor,
    /// `[B, 2]`: that the second sentence follows, and that it does not.
    pub relation_logits: Tensor,
    /// `[B, T, E]`
    pub last_hidden_state: Tensor,
}

impl BertForPreTraining {
    /// Logits of tokens and of the sentences' relation.
    ///
    /// # Panics
    /// As [`BertModel::forward`].
    #[track_caller]
    pub fn forward(&self, input: &BertInput, ctx: &mut Context) -> PreTrainingOutput {
        self.run(input, None, ctx)
    }

    /// As [`forward`](BertForPreTraining::forward), with logits `[M, V]` of the places `[M]` alone,
    /// counted through the batch: place `t` of text `b` is `b * T + t`.
    ///
    /// # Panics
    /// As [`BertModel::forward`]. A place outside the batch fails the evaluation.
    #[track_caller]
    pub fn forward_at(
        &self,
        input: &BertInput,
        places: &Tensor,
        ctx: &mut Context,
    ) -> PreTrainingOutput {
        self.run(input, Some(places), ctx)
    }

    #[track_caller]
    fn run(
        &self,
        input: &BertInput,
        places: Option<&Tensor>,
        ctx: &mut Context,
    ) -> PreTrainingOutput {
        let output = ctx.within("bert", |ctx| self.bert.forward(input, ctx));
        let table = &self.bert.embeddings.word_embeddings.weight;
        let chosen = match places {
            Some(places) => output.last_hidden_state.flatten(0, 1).index_select(0, places),
            None => output.last_hidden_state.clone(),
        };
        let logits = self.cls.predictions.forward(&chosen, table, ctx);
        let pooled = output.pooled.unwrap_or_else(|| output.last_hidden_state.index(1, 0));
        let relation_logits = self.cls.seq_relationship.forward(&pooled, ctx);
        PreTrainingOutput { logits, relation_logits, last_hidden_state: output.last_hidden_state }
    }
}

impl Pretrained for BertForPreTraining {
    type Config = BertConfig;

    fn new(config: &BertConfig, init: &mut Init) -> Result<Self> {
        let bert = BertModel::build(config, true, init)?;
        let predictions = BertPredictionHead::new(config, init);
        let seq_relationship =
            normal_linear(config.hidden_size, 2, true, config.initializer_range, init);
        Ok(BertForPreTraining { bert, cls: PreTrainingHeads { predictions, seq_relationship } })
    }

    fn rename(name: &str) -> Option<String> {
        names::full(name)
    }
}

/// BERT that sorts texts into classes. To begin with a published encoder, make a new model and put the
/// encoder into its field `bert`.
///
/// PyTorch: `transformers.BertForSequenceClassification`,
/// `transformers.RobertaForSequenceClassification`.
#[derive(Module, Clone, Debug)]
pub struct BertForSequenceClassification {
    /// The encoder.
    pub bert: BertModel,
    /// `E -> classes`
    pub classifier: Linear,
    dropout: Dropout,
}

impl BertForSequenceClassification {
    /// Logits of classes: `[B, classes]`.
    ///
    /// # Panics
    /// As [`BertModel::forward`], and if the encoder has no pooler.
    #[track_caller]
    pub fn forward(&self, input: &BertInput, ctx: &mut Context) -> Tensor {
        let output = ctx.within("bert", |ctx| self.bert.forward(input, ctx));
        let Some(pooled) = output.pooled else {
            panic!("bert: a classifier needs an encoder with a pooler");
        };
        self.classifier.forward(&self.dropout.forward(&pooled, ctx), ctx)
    }
}

impl Pretrained for BertForSequenceClassification {
    type Config = BertConfig;

    fn new(config: &BertConfig, init: &mut Init) -> Result<Self> {
        let bert = BertModel::build(config, true, init)?;
        let (size, classes) = (config.hidden_size, config.labels());
        let classifier = normal_linear(size, classes, true, config.initializer_range, init);
        let dropout = Dropout::new(config.classifier_dropout());
        Ok(BertForSequenceClassification { bert, classifier, dropout })
    }

    fn rename(name: &str) -> Option<String> {
        names::full(name).filter(|name| !name.starts_with("cls."))
    }
}
