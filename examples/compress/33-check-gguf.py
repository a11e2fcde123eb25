"""Holds GGUF files that 33-compress-language-model wrote against llama.cpp: how far predictions are from the whole model's.

    pip install llama-cpp-python gguf numpy safetensors
    python examples/compress/33-check-gguf.py out/33-smollm2

Everything is computed by llama.cpp, on text that neither calibration nor training has seen. Files with an importance matrix
must be nearer to the whole model than those without. llama.cpp then quantizes the whole model itself, with and without
the importance matrix that was written.
"""

import ctypes
import sys
from pathlib import Path

import llama_cpp
import numpy
from gguf import GGUFReader
from safetensors.numpy import load_file

THREADS = 2


def predictions(path, tokens):
    """Logits [texts, tokens, vocabulary]."""
    length = tokens.shape[1]
    # Keys and values in f32, so that what differs are weights.
    model = llama_cpp.Llama(
        str(path), n_ctx=length, n_batch=length, n_threads=THREADS, n_threads_batch=THREADS, logits_all=True,
        type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32, verbose=False,
    )
    found = []
    for text in tokens:
        model.reset()
        model.eval(text.tolist())
        found.append(numpy.array(model.scores[:length], dtype=numpy.float32))
    model.close()
    return numpy.stack(found)


def log_softmax(logits):
    shifted = logits.astype(numpy.float64) - logits.max(-1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(-1, keepdims=True))


def compare(logits, whole, tokens):
    """Mean divergence in nats, its standard error, the share of tokens with the same first choice, perplexity."""
    divergences, same, loss = [], 0, []
    for found, wanted, text in zip(logits, whole, tokens):
        found, wanted = log_softmax(found), log_softmax(wanted)
        divergences.append((numpy.exp(wanted) * (wanted - found)).sum(-1))
        same += (found.argmax(-1) == wanted.argmax(-1)).sum()
        loss.append(-found[numpy.arange(len(text) - 1), text[1:]])
    divergences, loss = numpy.concatenate(divergences), numpy.concatenate(loss)
    error = divergences.std() / numpy.sqrt(len(divergences))
    return divergences.mean(), error, same / len(divergences), numpy.exp(loss.mean())


def importance(path):
    """Mean squares by the names of weights, as llama.cpp's own loader divides sums by counts."""
    tensors = {tensor.name: numpy.array(tensor.data, dtype=numpy.float32).ravel() for tensor in GGUFReader(path).tensors}
    names = [name.removesuffix(".in_sum2") for name in tensors if name.endswith(".in_sum2")]
    return {name: tensors[f"{name}.in_sum2"] / tensors[f"{name}.counts"] for name in names}


def quantized_there(whole, target, means):
    """Q4_0 by llama.cpp's own rules, tables of tokens in f32."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.nthread = THREADS
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
    parameters.token_embedding_type = parameters.output_tensor_type = llama_cpp.GGML_TYPE_F32
    parameters.pure = True
    # A name that is null ends them.
    entries = (llama_cpp.llama_cpp.llama_model_imatrix_data * (len(means) + 1))()
    for entry, (name, values) in zip(entries, means.items()):
        entry.name, entry.size = name.encode(), values.size
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    if means:
        parameters.imatrix = entries
    code = llama_cpp.llama_model_quantize(str(whole).encode(), str(target).encode(), ctypes.byref(parameters))
    assert code == 0, f"llama_model_quantize: {code}"
    return target


def main():
    out = Path(sys.argv[1])
    unseen = load_file(out / "unseen.safetensors")
    tokens = unseen["tokens"]
    whole = predictions(out / "whole.gguf", tokens)
    ours = unseen["logits"]
    difference = numpy.abs(whole[: len(ours)] - ours).max()
    print(f"{tokens.size} tokens; the whole model's logits there and here differ by {difference:.2e} at most, "
          f"the largest is {numpy.abs(ours).max():.2f}")
    theirs, means = out / "llama-cpp", importance(out / "imatrix.gguf")
    theirs.mkdir(exist_ok=True)
    quantized_there(out / "whole.gguf", theirs / "q4_0.gguf", {})
    quantized_there(out / "whole.gguf", theirs / "q4_0-imatrix.gguf", means)
    left_out = {"whole.gguf", "imatrix.gguf"}
    found = {}
    for path in [*sorted(out.glob("*.gguf")), *sorted(theirs.glob("*.gguf"))]:
        if path.name in left_out:
            continue
        divergence, error, same, perplexity = compare(predictions(path, tokens), whole, tokens)
        name = str(path.relative_to(out))
        found[name] = divergence
        print(f"{name:28} {path.stat().st_size / 1e6:8.1f} MB  KL {divergence:.5f} +- {error:.5f}  "
              f"same top {100 * same:.1f} %  perplexity {perplexity:.3f}")
    pairs = [(name, name.replace("-imatrix", "")) for name in found if "-imatrix" in name]
    assert pairs
    for with_importance, without in pairs:
        print(f"{without}: KL falls by {100 * (1 - found[with_importance] / found[without]):.1f} % with importance")
        assert found[with_importance] < found[without]


main()
