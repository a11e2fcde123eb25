"""Holds what 33-compress-language-model wrote against transformers and compressed-tensors.

    pip install torch transformers compressed-tensors safetensors
    python examples/compress/33-check-folder.py out/33-compress-language-model
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

out = Path(sys.argv[1])
check = load_file(out / "check.safetensors")
model = AutoModelForCausalLM.from_pretrained(out / "compressed-tensors", dtype=torch.float32)
quantized = sum(hasattr(module, "weight_scale") for module in model.modules())
with torch.no_grad():
    logits = model(check["tokens"].long()).logits
difference = (logits - check["logits"]).abs().max().item()
print(f"{quantized} quantized layers, logits differ by {difference:.2e}, the largest is {check['logits'].abs().max():.2f}")
tokenizer = AutoTokenizer.from_pretrained(out / "compressed-tensors")
text = "To be, or not"
assert tokenizer.decode(tokenizer(text)["input_ids"]).replace(" ", "") == text.replace(" ", "")
assert quantized > 0 and difference < 1e-3
