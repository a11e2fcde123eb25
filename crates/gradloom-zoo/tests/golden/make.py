"""Makes the golden checkpoints of this folder: tiny random models of Python's `transformers`, saved as
published ones are (config.json, model.safetensors), and in expected.safetensors their inputs, logits,
hidden states, attention maps, and the gradients of every weight.

    pip install torch transformers==5.23.0 safetensors
    python make.py

With the name of a folder that has nothing but a config.json, it makes the checkpoint of that language
model:

    python make.py gpt2

With a published model, it writes only what is expected of that (the second also needs `gguf`):

    python make.py ../../../../assets/minilm
    python make.py ../../../../assets/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
"""

import pathlib
import shutil
import sys

import torch
import torch.nn.functional as F
import transformers as tf
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
VOCABULARY = 29


def randomise(model):
    """Values large enough that every weight shows in the outputs."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1:
                weight.copy_(0.2 * torch.randn_like(weight))
                if name.endswith("weight"):
                    weight.add_(1.0)
            else:
                weight.copy_(0.3 * torch.randn_like(weight))


def tokens(rows, columns):
    return torch.randint(3, VOCABULARY, (rows, columns))


def write(name, model, expected, loss):
    """The checkpoint, and what is expected of it with the gradients of `loss`."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "model.safetensors").chmod(0o644)
    model.zero_grad()
    loss.backward()
    expected = dict(expected, loss=loss)
    for weight, value in model.named_parameters():
        if value.grad is not None:
            expected[f"grad.{weight}"] = value.grad
    expected = {
        key: (value.to(torch.int32) if value.dtype == torch.int64 else value).detach().contiguous()
        for key, value in expected.items()
    }
    save(expected, folder / "expected.safetensors")


def save(tensors, path):
    save_file(tensors, path)
    path.chmod(0o644)


def numbered(name, values):
    return {f"{name}.{index}": value for index, value in enumerate(values)}


def build(kind, config):
    config._attn_implementation = "eager"
    model = kind(config)
    randomise(model)
    return model.eval()


EVERYTHING = {"output_hidden_states": True, "output_attentions": True}


IGNORED = -100


def token_loss(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


def labels_for(mask):
    """Nothing is asked where no token is: queries that see no key have no defined result."""
    return torch.where(mask == 1, tokens(*mask.shape), IGNORED)


def encoder_inputs(config):
    ids = tokens(2, 7)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    ids[1, 5:] = config.pad_token_id
    return {"tokens": ids, "mask": mask, "labels": labels_for(mask)}


def bert_config(kind, **options):
    return kind(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=20,
        max_position_embeddings=12,
        **options,
    )


def bert():
    config = bert_config(tf.BertConfig)
    model = build(tf.BertForPreTraining, config)
    inputs = encoder_inputs(config)
    inputs["token_types"] = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0, 0]])
    inputs["relations"] = torch.tensor([1, 0])
    arguments = {
        "input_ids": inputs["tokens"],
        "attention_mask": inputs["mask"],
        "token_type_ids": inputs["token_types"],
    }
    output = model(**arguments, **EVERYTHING)
    loss = token_loss(output.prediction_logits, inputs["labels"])
    loss = loss + F.cross_entropy(output.seq_relationship_logits, inputs["relations"])
    trunk = model.bert(**arguments)
    kept = inputs["mask"].unsqueeze(-1)
    mean = (trunk.last_hidden_state * kept).sum(1) / kept.sum(1)
    expected = inputs | {
        "logits": output.prediction_logits,
        "relation_logits": output.seq_relationship_logits,
        "pooled": trunk.pooler_output,
        "sentence": F.normalize(mean, dim=-1),
    }
    expected |= numbered("hidden", output.hidden_states) | numbered("attention", output.attentions)
    write("bert", model, expected, loss)


def roberta():
    config = bert_config(tf.RobertaConfig, type_vocab_size=1, pad_token_id=1)
    model = build(tf.RobertaForMaskedLM, config)
    inputs = encoder_inputs(config)
    output = model(input_ids=inputs["tokens"], attention_mask=inputs["mask"], **EVERYTHING)
    expected = inputs | {"logits": output.logits}
    expected |= numbered("hidden", output.hidden_states) | numbered("attention", output.attentions)
    write("roberta", model, expected, token_loss(output.logits, inputs["labels"]))


def classifier(name, kind, config):
    model = build(kind, config)
    inputs = encoder_inputs(config)
    inputs["labels"] = torch.tensor([2, 0])
    output = model(input_ids=inputs["tokens"], attention_mask=inputs["mask"])
    loss = F.cross_entropy(output.logits, inputs["labels"])
    write(name, model, inputs | {"logits": output.logits}, loss)


def causal(name, model, left_padding):
    inputs = {"tokens": tokens(2, 7), "mask": torch.ones(2, 7, dtype=torch.int64)}
    if left_padding:
        inputs["mask"][1, :2] = 0
    else:
        inputs["mask"][1, 5:] = 0
    inputs["labels"] = labels_for(inputs["mask"])
    output = model(input_ids=inputs["tokens"], attention_mask=inputs["mask"], **EVERYTHING)
    expected = inputs | {"logits": output.logits}
    expected |= numbered("hidden", output.hidden_states) | numbered("attention", output.attentions)
    write(name, model, expected, token_loss(output.logits, inputs["labels"]))


def gpt2():
    config = tf.GPT2Config(
        vocab_size=VOCABULARY, n_positions=12, n_embd=16, n_layer=2, n_head=4, n_inner=20
    )
    causal("gpt2", build(tf.GPT2LMHeadModel, config), left_padding=True)


def llama_options(**options):
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": 20,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32,
    } | options


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}


def llama():
    config = tf.LlamaConfig(**llama_options())
    causal("llama", build(tf.LlamaForCausalLM, config), left_padding=True)
    config = tf.LlamaConfig(
        **llama_options(
            rope_parameters=LLAMA3,
            attention_bias=True,
            mlp_bias=True,
            tie_word_embeddings=True,
            head_dim=8,
        )
    )
    causal("llama3", build(tf.LlamaForCausalLM, config), left_padding=False)
    config = tf.Qwen2Config(**llama_options(num_key_value_heads=1, tie_word_embeddings=True))
    causal("qwen2", build(tf.Qwen2ForCausalLM, config), left_padding=False)
    config = tf.MistralConfig(**llama_options(sliding_window=3))
    causal("mistral", build(tf.MistralForCausalLM, config), left_padding=False)


def rope():
    """Frequencies and factors of every scaling, for heads of 16 features."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
    cases = {
        "linear": ({"rope_type": "linear", "factor": 4.0}, None),
        "dynamic_short": ({"rope_type": "dynamic", "factor": 4.0}, 200),
        "dynamic_long": ({"rope_type": "dynamic", "factor": 4.0}, 700),
        "llama3": (LLAMA3 | {"rope_theta": 10000.0, "original_max_position_embeddings": 64}, None),
        "yarn": (yarn, None),
        "yarn_mscale": (yarn | {"mscale": 0.8, "mscale_all_dim": 0.3, "truncate": False}, None),
        "yarn_beta": (yarn | {"beta_fast": 4.0, "beta_slow": 2.0, "attention_factor": 0.7}, None),
    }
    expected = {}
    for name, (parameters, length) in cases.items():
        parameters = {"rope_theta": 10000.0} | parameters
        options = llama_options(hidden_size=64, max_position_embeddings=256)
        config = tf.LlamaConfig(**options, rope_parameters=parameters)
        frequencies, factor = ROPE_INIT_FUNCTIONS[parameters["rope_type"]](config, "cpu", length)
        expected[f"{name}.frequencies"] = frequencies.contiguous()
        expected[f"{name}.factor"] = torch.tensor(factor)
    save(expected, HERE / "rope.safetensors")


def t5_config(**options):
    return tf.T5Config(
        vocab_size=VOCABULARY,
        d_model=16,
        d_kv=6,
        d_ff=20,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=3,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=10,
        **options,
    )


def t5():
    from transformers.models.t5.modeling_t5 import T5Attention

    tied = build(tf.T5ForConditionalGeneration, t5_config(tie_word_embeddings=True))
    # With this key the library ties all tables, and leaves out the scale of T5; the published files of
    # version 1.1 have logits with a matrix of their own.
    gated = t5_config(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    gated = build(tf.T5ForConditionalGeneration, gated)
    gated.lm_head = torch.nn.Linear(16, VOCABULARY, bias=False)
    randomise(gated)
    gated.config.tie_word_embeddings = False
    for name, model in [("t5", tied), ("t5-gated", gated)]:
        inputs = encoder_inputs(model.config)
        inputs["decoder_tokens"] = tokens(2, 6)
        inputs["labels"] = tokens(2, 6)
        output = model(
            input_ids=inputs["tokens"],
            attention_mask=inputs["mask"],
            decoder_input_ids=inputs["decoder_tokens"],
            **EVERYTHING,
        )
        expected = inputs | {"logits": output.logits}
        expected |= numbered("encoder_hidden", output.encoder_hidden_states)
        expected |= numbered("encoder_attention", output.encoder_attentions)
        expected |= numbered("hidden", output.decoder_hidden_states)
        expected |= numbered("attention", output.decoder_attentions)
        expected |= numbered("cross_attention", output.cross_attentions)
        if name == "t5":
            distances = torch.arange(-300, 301)
            for key, both in [("buckets.both", True), ("buckets.past", False)]:
                expected[key] = T5Attention._relative_position_bucket(
                    distances, bidirectional=both, num_buckets=32, max_distance=128
                )
        write(name, model, expected, token_loss(output.logits, inputs["labels"]))


# "the quick brown fox jumps over the lazy dog." and "hello world".
MINILM_TOKENS = [
    [101, 1996, 4248, 2829, 4419, 14523, 2058, 1996, 13971, 3899, 1012, 102],
    [101, 7592, 2088, 102, 0, 0, 0, 0, 0, 0, 0, 0],
]


def minilm(folder):
    model = tf.BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.tensor(MINILM_TOKENS)
    mask = (ids != 0).long()
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    kept = mask.unsqueeze(-1)
    sentences = F.normalize((hidden * kept).sum(1) / kept.sum(1), dim=-1)
    expected = {"tokens": ids.int(), "mask": mask.int(), "hidden": hidden, "sentences": sentences}
    save(expected, HERE / "minilm.safetensors")


# The chat template's text for "What is the capital of France?".
SMOLLM2_TOKENS = [
    1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712,
    8182, 2, 198, 1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198,
]  # fmt: skip
SMOLLM2_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def smollm2_weights(path):
    """The numbers that the file's blocks stand for, under the library's names and in its order."""
    from gguf import GGUFReader
    from gguf.quants import dequantize

    weights = {}
    for tensor in GGUFReader(path).tensors:
        value = torch.tensor(dequantize(tensor.data, tensor.tensor_type)).float()
        parts = tensor.name.split(".")
        if parts[0] != "blk":
            name = {"token_embd": "embed_tokens", "output_norm": "norm"}[parts[0]]
            weights[f"model.{name}.weight"] = value
            continue
        if parts[2] in ("attn_q", "attn_k"):
            value = value.reshape(-1, 32, 2, 576).transpose(1, 2).reshape(value.shape)
        weights[f"model.layers.{parts[1]}.{SMOLLM2_NAMES[parts[2]]}.weight"] = value
    return weights


def smollm2(path):
    config = tf.LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        tie_word_embeddings=True,
    )
    model = tf.LlamaForCausalLM(config).eval()
    model.load_state_dict(smollm2_weights(path), strict=False)
    ids = torch.tensor([SMOLLM2_TOKENS])
    with torch.no_grad():
        answer = model.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=2)
        logits = model(ids).logits[0, -1, :2048]
    expected = {
        "tokens": ids.int(),
        "answer": answer[:, ids.shape[1] :].int().contiguous(),
        "logits": logits.contiguous(),
    }
    save(expected, HERE / "smollm2.safetensors")


def language_model(name):
    """A language model from the config.json in its folder alone."""
    torch.manual_seed(0)
    config = tf.AutoConfig.from_pretrained(HERE / name)
    kind = tf.AutoModelForCausalLM._model_mapping[type(config)]
    causal(name, build(kind, config), left_padding=True)


def main():
    if len(sys.argv) > 1:
        if (HERE / sys.argv[1] / "config.json").exists():
            language_model(sys.argv[1])
            return
        (smollm2 if sys.argv[1].endswith(".gguf") else minilm)(sys.argv[1])
        return
    torch.manual_seed(0)
    bert()
    roberta()
    labels = {"num_labels": 3}
    config = bert_config(tf.BertConfig, **labels)
    classifier("bert-classifier", tf.BertForSequenceClassification, config)
    config = bert_config(tf.RobertaConfig, type_vocab_size=1, pad_token_id=1, **labels)
    classifier("roberta-classifier", tf.RobertaForSequenceClassification, config)
    gpt2()
    llama()
    rope()
    t5()


if __name__ == "__main__":
    main()
