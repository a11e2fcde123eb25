"""Makes folder/: a small Llama whose projections compressed-tensors packed, and the logits that transformers gives for it.

    pip install torch transformers compressed-tensors==0.20 safetensors
    python make_folder.py

`config.json` has what the crate writes, so that it loads shows that the library takes both. Symmetric, because
transformers 5.23 with compressed-tensors 0.20 expects zeros that are not packed unless it is told to dequantize.
"""

import json
from pathlib import Path

import torch
from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

torch.manual_seed(3)
folder = Path("folder")
folder.mkdir(exist_ok=True)
config = LlamaConfig(
    vocab_size=16, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
    num_key_value_heads=2, max_position_embeddings=32, initializer_range=0.3, tie_word_embeddings=False,
)
model = LlamaForCausalLM(config).eval()
args = QuantizationArgs(num_bits=3, type="int", symmetric=True, strategy="group", group_size=16)
scheme = QuantizationScheme(targets=["Linear"], weights=args)
tensors, left = {}, []
for name, weight in model.state_dict().items():
    module = name.removesuffix(".weight")
    if not module.endswith("_proj"):
        tensors[name] = weight
        if weight.ndim == 2:
            left.append(module)
        continue
    groups = weight.reshape(weight.shape[0], -1, args.group_size)
    scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
    parts = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero.round().to(torch.int8)}
    for part, tensor in PackedQuantizationCompressor.compress(parts, scheme).items():
        tensors[f"{module}.{part}"] = tensor
save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
text = json.loads(config.to_json_string(use_diff=False))
keys = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
keys += ["num_key_value_heads", "max_position_embeddings", "tie_word_embeddings", "rms_norm_eps", "model_type"]
described = {key: text[key] for key in keys} | {"architectures": ["LlamaForCausalLM"], "torch_dtype": "float32"}
weights = {
    "num_bits": 3, "type": "int", "symmetric": True, "strategy": "group", "group_size": 16, "dynamic": False,
    "observer": "minmax",
}
group = {
    "targets": ["Linear"], "weights": weights, "input_activations": None, "output_activations": None,
    "format": "pack-quantized",
}
described["quantization_config"] = {
    "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
    "config_groups": {"group_0": group}, "ignore": left, "kv_cache_scheme": None, "global_compression_ratio": None,
}
(folder / "config.json").write_text(json.dumps(described, indent=1))
loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
tokens = torch.arange(24).reshape(2, 12) * 7 % 16
with torch.no_grad():
    logits, whole = loaded(tokens).logits, model(tokens).logits
print("logits are moved by", (logits - whole).abs().max().item(), "of", whole.abs().max().item())
assert 1e-3 < (logits - whole).abs().max() < whole.abs().max()
save_file({"tokens": tokens.int(), "logits": logits.contiguous()}, "folder.safetensors")
