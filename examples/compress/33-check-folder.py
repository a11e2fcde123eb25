"""Holds folders of compressed-tensors that 33-compress-language-model wrote against transformers and compressed-tensors.

    pip install torch transformers compressed-tensors safetensors
    python examples/compress/33-check-folder.py out/33-compress-language-model

Each folder has its check.safetensors: tokens, and the logits that Gradloom found for them.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, CompressedTensorsConfig

folders = sorted(path.parent for path in Path(sys.argv[1]).glob("*/check.safetensors"))
assert folders, f"no folders with check.safetensors in {sys.argv[1]}"
for folder in folders:
    config = json.loads((folder / "config.json").read_text())["quantization_config"]
    weights = [group["weights"] for group in config["config_groups"].values()]
    # Modules that stay compressed have zeros that are not packed in transformers 5.23.
    asymmetric = not all(each["symmetric"] for each in weights)
    options = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if asymmetric else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
    quantized = sum(hasattr(module, "weight_scale") for module in model.modules())
    check = load_file(folder / "check.safetensors")
    with torch.no_grad():
        logits = model(check["tokens"].long()).logits
    difference = (logits - check["logits"]).abs().max().item()
    kind = f"{config['format']}, int{weights[0]['num_bits']}, {'a' if asymmetric else ''}symmetric"
    largest = check["logits"].abs().max()
    print(f"{folder.name}: {kind}, {quantized} quantized layers in {type(model).__name__}")
    print(f"    {logits.numel()} logits differ by {difference:.2e} at most, the largest is {largest:.2f}")
    assert (quantized > 0 or asymmetric) and difference < 1e-3
    if (folder / "tokenizer.json").is_file():
        tokenizer, text = AutoTokenizer.from_pretrained(folder), "To be, or not"
        assert tokenizer.decode(tokenizer(text)["input_ids"]).replace(" ", "") == text.replace(" ", "")
