"""Makes gptqmodel.safetensors: what gptqmodel 7.7's own GPTQ makes of the weight and inputs of golden.safetensors.

    pip install torch transformers safetensors pypcre logbar device-smi tokenicer threadpoolctl accelerate datasets
    pip download --no-deps --no-binary :all: gptqmodel==7.7.0 && tar xzf gptqmodel-7.7.0.tar.gz
    python make_gptqmodel.py gptqmodel-7.7.0/gptqmodel

The package's beginnings import every model that it knows and compile kernels; the quantizer needs neither, so only the
folders that it imports from are made known.
"""

import importlib.machinery
import sys
import types

root = sys.argv[1]
for name in ["", ".looper", ".models"]:
    module = types.ModuleType("gptqmodel" + name)
    module.__path__ = [root + name.replace(".", "/")]
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None, is_package=True)
    module.DEBUG_ON = False
    sys.modules[module.__name__] = module

import torch
from gptqmodel.quantization import QuantizeConfig
from gptqmodel.quantization.gptq import GPTQ
from safetensors.torch import load_file, save_file

golden = load_file("golden.safetensors")
out = {}
for bits, group, symmetric in [(4, 32, True), (3, 64, False), (8, 64, True), (2, 32, False)]:
    for kind, options in [
        ("plain", {"desc_act": False, "act_group_aware": False}),
        ("order", {"desc_act": True, "act_group_aware": False}),
        ("static", {"desc_act": True, "act_group_aware": False, "static_groups": True}),
    ]:
        layer = torch.nn.Linear(64, golden["weight"].shape[0], bias=False)
        layer.weight.data = golden["weight"].clone()
        config = QuantizeConfig(bits=bits, group_size=group, sym=symmetric, damp_percent=0.01, **options)
        gptq = GPTQ(layer, config)
        gptq.quantizer.configure(perchannel=True)
        gptq.add_batch(golden["x"][None], layer(golden["x"][None]))
        found = gptq.quantize()[0].detach().float()
        name = f"{bits}.{group}.{'symmetric' if symmetric else 'asymmetric'}"
        out[f"{kind}.{name}"] = found.contiguous()
        h = golden["x"].double().T @ golden["x"].double() / len(golden["x"])
        error = lambda w: (((w := w.double() - golden["weight"].double()) @ h) * w).sum().item()
        print(kind, name, error(found), "from the paper", error(golden[f"gptq.{kind}.{name}"]),
              "nearest", error(golden[f"nearest.{name}"]))
save_file(out, "gptqmodel.safetensors")
