#!/usr/bin/env python3
"""Golden data of PyTorch's own operator samples (the OpInfo database inside the torch package).

    golden.py FOLDER                every sample of every operator, one file for each operator
    golden.py FOLDER --slice N      at most N samples of each, small ones, in one file, as committed
    golden.py FOLDER --only NAME    one operator

Inputs are made in float32 and are exact there. Outputs and gradients are computed in float64 from them, so
that they are right to the last digit of float32. The gradient is that of the sum of all floating-point
outputs, each element times `weight(k)`, k counting through the outputs one after another.

A sample whose outputs are not determined by its operands (random numbers, memory that is not initialised)
has `"undetermined": true`. Of such a sample only shapes and dtypes can be compared.

A file is JSON, a line with the operator's name and then one for each sample; tensors have their gradient
beside them. Needs torch 2.15, numpy and expecttest.
"""

import argparse, gzip, json, pathlib, sys, warnings

import torch
from torch.testing._internal import common_methods_invocations
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._pytree import tree_flatten, tree_map

# The database's calls of random operators set the seed themselves; here each run has its own.
common_methods_invocations.wrapper_set_seed = lambda op, *args, **kwargs: op(*args, **kwargs)

warnings.filterwarnings("ignore")
ELEMENTS_MAX = 20_000
SLICE_ELEMENTS_MAX = 400
SEED, SEEDS = 7, range(8, 16)

KINDS = {
    torch.float32: "f32", torch.float64: "f64", torch.int64: "i64", torch.int32: "i32", torch.bool: "bool",
    torch.uint8: "u8", torch.int8: "i8", torch.float16: "f16", torch.bfloat16: "bf16",
}


def weight(k):
    """Neither equal nor of one sign, and exact: -1, -0.75, .., 1 in turns."""
    return ((k * 5) % 9 - 4) / 4.0


DESCRIBED = []


def tensor(x):
    """A tensor as JSON; those given are kept beside what describes them, for their gradients."""
    found = described(x)
    DESCRIBED.append((x, found))
    return found


def described(x):
    x = x.detach()
    if x.is_complex():
        raise NotImplementedError("complex")
    if x.dtype == torch.float64:
        x = x.to(torch.float32)
    if x.dtype not in KINDS:
        raise NotImplementedError(str(x.dtype))
    return {"tensor": KINDS[x.dtype], "shape": list(x.shape), "data": [number(v) for v in elements(x)]}


def elements(x):
    """In row-major order, floats as numpy has them, whose text is the shortest that is exact."""
    data = x.contiguous().cpu().reshape(-1)
    return (data.to(torch.float32) if x.is_floating_point() else data).numpy()


def number(value):
    if value.dtype.kind != "f":
        return int(value)
    return float(str(value)) if value - value == 0 else str(value)


def encode(x):
    if isinstance(x, torch.Tensor):
        return tensor(x)
    if x is None or isinstance(x, (bool, str)):
        return x
    if isinstance(x, int):
        return {"int": x}
    if isinstance(x, float):
        return {"float": repr(x)}
    if isinstance(x, torch.dtype):
        return {"dtype": KINDS.get(x, str(x))}
    if isinstance(x, (list, tuple)):
        return [encode(item) for item in x]
    if isinstance(x, slice):
        return {"slice": [encode(x.start), encode(x.stop), encode(x.step)]}
    if x is Ellipsis:
        return {"ellipsis": True}
    objects = (torch.nn.Module, torch.nn.LinearCrossEntropyOptions, torch.memory_format, torch.layout, torch.device)
    if isinstance(x, objects):
        return {"object": repr(x)}
    raise NotImplementedError(type(x).__name__)


def wide(x):
    if isinstance(x, torch.Tensor) and x.dtype == torch.float32:
        return x.detach().to(torch.float64).requires_grad_(x.requires_grad)
    if x is torch.float32:
        return torch.float64
    return x


def leaves(tree):
    return [x for x in tree_flatten(tree)[0] if isinstance(x, torch.Tensor)]


def run(op, given):
    """The outputs as tensors, or what it is that is no tensor, and what each tensor given was widened to."""
    widened = {}
    first, args, kwargs = tree_map(lambda x: widened.setdefault(id(x), wide(x)), given)
    result = op(first, *args, **kwargs)
    results = leaves(result) if not isinstance(result, torch.Tensor) else [result]
    # Complex numbers are pairs.
    results = [torch.view_as_real(x.resolve_conj()) if x.is_complex() else x for x in results]
    return results, result, widened


def undetermined(op, given, results, drew):
    """Whether the elements are not determined by the operands: another run with another seed gives others
    (tried if random numbers were drawn), or they are of memory that nothing was written to."""
    if op.name.startswith(("empty", "new_empty")):
        return True
    if op.name.startswith("resize"):
        return any(x.numel() > given[0].numel() for x in results)
    results = [x.detach().clone() for x in results]
    for seed in SEEDS if drew else []:
        torch.manual_seed(seed)
        again, _, _ = run(op, given)
        if any(x.shape != y.shape or not torch.equal(x, y) for x, y in zip(results, again)):
            return True
    return False


# PyTorch's own gradient is not the derivative: of `as_strided_scatter` it is zero where the input is kept and
# not where it is replaced; of unpooling all values that went to one place have one, where the last stands.
# These are linear, so central differences are exact but for rounding.
BY_DIFFERENCES = {"as_strided_scatter"} | {f"nn.functional.max_unpool{axes}d" for axes in (1, 2, 3)}


def total_of(results):
    """What is differentiated: each element of the floats times its weight."""
    total, k = 0.0, 0
    for x in results:
        if x.dtype == torch.float64:
            n = x.numel()
            factors = torch.tensor([weight(k + i) for i in range(n)], dtype=torch.float64).reshape(x.shape)
            if x.requires_grad:
                total = total + torch.where(factors == 0, torch.zeros_like(x), x * factors).sum()
            k += n
    return total


def by_differences(op, given, x):
    """The gradient of a tensor given, element by element."""
    gradient = torch.zeros(x.shape, dtype=torch.float64)
    for at in range(x.numel()):
        totals = []
        for step in (0.5, -0.5):
            moved = x.detach().clone(memory_format=torch.contiguous_format)
            moved.view(-1)[at] += step
            moved.requires_grad_()
            changed = tree_map(lambda y: moved if y is x else y, given)
            totals.append(total_of(run(op, changed)[0]))
        gradient.view(-1)[at] = (totals[0] - totals[1]).item()
    # The step is not exact in f32 beside every number, the weights are quarters.
    return (gradient * 4).round() / 4


def sample_of(op, sample, gradients):
    given = (sample.input, list(sample.args), dict(sample.kwargs))
    DESCRIBED.clear()
    line = {"input": encode(given[0]), "args": encode(given[1]),
            "kwargs": {name: encode(value) for name, value in given[2].items()}}
    texts = {id(x): text for x, text in DESCRIBED}
    torch.manual_seed(SEED)
    state = torch.get_rng_state()
    results, result, widened = run(op, given)
    drew = not torch.equal(state, torch.get_rng_state())
    if not results:
        line["outputs"] = [encode(result)]
        return line
    line["outputs"] = [tensor(x) for x in results]
    if undetermined(op, given, results, drew):
        line["undetermined"] = True
    wanted = [(x, widened[id(x)]) for x in leaves(given) if x.requires_grad]
    if not gradients or not wanted:
        return line
    total = total_of(results)
    if not isinstance(total, torch.Tensor):
        return line
    found = torch.autograd.grad(total, [x for _, x in wanted], allow_unused=True)
    for (x, wide_x), gradient in zip(wanted, found):
        if op.name in BY_DIFFERENCES:
            gradient = by_differences(op, given, x)
        gradient = torch.zeros_like(wide_x) if gradient is None else gradient
        texts[id(x)]["gradient"] = described(gradient)["data"]
    return line


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--slice", type=int)
    parser.add_argument("--only")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    everything = []
    for op in op_db:
        name = op.name + ("." + op.variant_test_name if op.variant_test_name else "")
        if torch.float32 not in op.dtypes or (options.only and name != options.only):
            continue
        lines, left_out = [], {}
        gradients = op.supports_autograd and torch.float32 in op.backward_dtypes
        torch.manual_seed(SEED)
        try:
            samples = list(op.sample_inputs("cpu", torch.float32, requires_grad=gradients))
        except Exception as error:
            samples, left_out = [], {type(error).__name__: 1}
        for sample in samples:
            limit = SLICE_ELEMENTS_MAX if options.slice else ELEMENTS_MAX
            if sum(x.numel() for x in leaves((sample.input, sample.args, sample.kwargs))) > limit:
                continue
            if options.slice and len(lines) == options.slice:
                break
            try:
                lines.append(json.dumps(sample_of(op, sample, gradients), separators=(",", ":")))
            except Exception as error:
                left_out[type(error).__name__] = left_out.get(type(error).__name__, 0) + 1
        head = json.dumps({"op": name, "samples": len(lines), "left_out": left_out})
        text = "\n".join([head, *lines]) + "\n"
        print(name, len(lines), left_out or "", file=sys.stderr)
        if options.slice:
            everything.append(text)
        else:
            (options.folder / f"{name}.jsonl").write_text(text)
    if options.slice:
        with open(options.folder / "slice.jsonl.gz", "wb") as file:
            file.write(gzip.compress("".join(everything).encode(), 9, mtime=0))


main()
