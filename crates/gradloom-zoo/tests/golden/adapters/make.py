"""Makes the adapters of this folder: what Python's `peft` saves for the tiny models in the folders beside
it, with random values, and in expected.safetensors the logits with the adapter, and the gradients of its
weights.

    pip install torch transformers==5.23.0 safetensors peft==0.21.2 accelerate
    python make.py
"""

import os
import pathlib
import shutil

import peft
import torch
import torch.nn.functional as F
import transformers as tf
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
VOCABULARY = 29

# Relative, as the names of the models are written into the files.
os.chdir(HERE.parent)


def write(name, base, kind, config):
    torch.manual_seed(len(name))
    model = kind.from_pretrained(f"./{base}", attn_implementation="eager")
    model = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.copy_(0.3 * torch.randn_like(weight))
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    tokens = torch.randint(3, VOCABULARY, (2, 7))
    logits = model(tokens).logits
    labels = torch.randint(0, logits.shape[-1], logits.shape[:-1])
    loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten())
    loss.backward()
    expected = {"tokens": tokens, "labels": labels, "logits": logits, "loss": loss}
    for weight, value in model.named_parameters():
        if value.grad is not None:
            weight = weight.removeprefix("base_model.model.").replace(".default", "")
            expected[f"grad.{weight.replace('.modules_to_save', '')}"] = value.grad
    expected = {
        key: (value.to(torch.int32) if value.dtype == torch.int64 else value).detach().contiguous()
        for key, value in expected.items()
    }
    save_file(expected, folder / "expected.safetensors")
    for path in folder.iterdir():
        path.chmod(0o644)


write(
    "llama",
    "llama",
    tf.AutoModelForCausalLM,
    peft.LoraConfig(
        r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"
    ),
)
write(
    "gpt2",
    "gpt2",
    tf.AutoModelForCausalLM,
    peft.LoraConfig(
        r=3,
        lora_alpha=5,
        use_rslora=True,
        target_modules=["c_attn"],
        rank_pattern={"h.0.attn.c_attn": 2},
        alpha_pattern={"h.0.attn.c_attn": 7},
        fan_in_fan_out=True,
        task_type="CAUSAL_LM",
    ),
)
write(
    "bert-classifier",
    "bert-classifier",
    tf.AutoModelForSequenceClassification,
    peft.LoraConfig(r=2, lora_alpha=2, target_modules=["query", "value"], task_type="SEQ_CLS"),
)
write(
    "gpt2-prompt",
    "gpt2",
    tf.AutoModelForCausalLM,
    peft.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
)
write(
    "bert-classifier-prompt",
    "bert-classifier",
    tf.AutoModelForSequenceClassification,
    peft.PromptTuningConfig(num_virtual_tokens=2, task_type="SEQ_CLS"),
)
