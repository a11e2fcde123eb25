#!/usr/bin/env python3
"""Golden data of PyTorch's own operator samples (the OpInfo database inside the torch package).

    golden.py FOLDER                every sample of every operator, one file for each operator
    golden.py FOLDER --slice N      at most N samples of each, small ones, in one file, as committed
    golden.py FOLDER --only NAME    one operator
    golden.py FOLDER --round f16    of the operators that have that dtype, with inputs that are exact in it, in
                                    FOLDER/f16

Inputs are made in float32 and are exact there. Outputs and gradients are computed in float64 from them, and
written with twelve digits. The gradient is that of the sum of all floating-point outputs, each element times
`weight(k)`, k counting through the outputs one after another; the second gradient is that of the sum of all
gradients, weighted likewise.

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
SECOND_ELEMENTS_MAX = 1_000
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
    """A tensor given as JSON, kept beside what describes it, for its gradients."""
    found = described(x, given=True)
    DESCRIBED.append((x, found))
    return found


def described(x, given=False):
    x = x.detach()
    if x.is_complex():
        raise NotImplementedError("complex")
    if x.dtype not in KINDS:
        raise NotImplementedError(str(x.dtype))
    # What is computed in f64 stands for f32 as well.
    kind = "f32" if x.dtype == torch.float64 and not given else KINDS[x.dtype]
    return {"tensor": kind, "shape": list(x.shape), "data": [number(v) for v in elements(x)]}


def elements(x):
    """In row-major order; float32 and narrower as float32, whose text is the shortest that is exact."""
    data = x.contiguous().cpu().reshape(-1)
    return (data.to(torch.float32) if x.is_floating_point() and x.dtype != torch.float64 else data).numpy(force=True)


def number(value):
    if value.dtype.kind != "f":
        return int(value)
    if value - value != 0:
        return str(value)
    return float(str(value)) if value.dtype.itemsize == 4 else float(f"{value:.12g}")


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


def rounded(x, dtype):
    """Floats as exact in a dtype, in float32."""
    if dtype == torch.float32 or not isinstance(x, torch.Tensor) or x.dtype != torch.float32:
        return x
    return x.detach().to(dtype).to(torch.float32).requires_grad_(x.requires_grad)


def leaves(tree):
    return [x for x in tree_flatten(tree)[0] if isinstance(x, torch.Tensor)]


def by_value(pairs, of):
    """Columns in the order of complex numbers, by real and then by imaginary part."""
    order = torch.argsort(pairs[..., 1], dim=-1, stable=True)
    order = order.gather(-1, torch.argsort(pairs[..., 0].gather(-1, order), dim=-1, stable=True))
    return torch.take_along_dim(of, order.unsqueeze(-2) if of.dim() > order.dim() else order, -1)


def unsigned(u, s, vh):
    """What singular vectors, whose signs are free, and the bases outside of them determine."""
    k = s.shape[-1]
    u, vh = u[..., :k], vh[..., :k, :]
    return u.abs(), s, vh.abs(), u @ vh


def positive(q, r):
    """With a positive diagonal of R, as the signs of Q's columns are free."""
    sign = r.diagonal(0, -2, -1).detach().sign()
    return q * sign.unsqueeze(-2), r * sign.unsqueeze(-1)


# What is compared of results that are free up to signs, phases or order, as in PyTorch's own tests.
INVARIANTS = {
    "linalg.svd": lambda found: unsigned(*found),
    "svd": lambda found: unsigned(found[0], found[1], found[2].mT),
    "svd_lowrank": lambda found: (found[0] @ found[2].mT, found[1]),
    "pca_lowrank": lambda found: (found[0] @ found[2].mT, found[1]),
    "linalg.qr": lambda found: positive(*found),
    "linalg.eigh": lambda found: (found[0], found[1].abs()),
    "linalg.eig": lambda found: (
        by_value(torch.view_as_real(found[0]), found[0]), by_value(torch.view_as_real(found[0]), found[1].abs())),
    "linalg.eigvals": lambda found: by_value(torch.view_as_real(found), found),
}


# Operators of a triangle, whose derivatives in PyTorch are right where the operand has no other elements, and which
# of the operands it is: they are called with the triangle alone, as its own tests do.
TRIANGULAR = {"cholesky_inverse": 0, "cholesky_solve": 1}


def triangular(op, place):
    def call(*operands, upper=False):
        operands = list(operands)
        operands[place] = operands[place].triu() if upper else operands[place].tril()
        return op(*operands, upper=upper)
    return call


def run(op, given):
    """The outputs as tensors, or what it is that is no tensor, and what each tensor given was widened to."""
    widened = {}
    first, args, kwargs = tree_map(lambda x: widened.setdefault(id(x), wide(x)), given)
    call = triangular(op, TRIANGULAR[op.name]) if op.name in TRIANGULAR else op
    result = call(first, *args, **kwargs)
    result = INVARIANTS.get(op.name, lambda found: found)(result)
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
        # Equal but for rounding.
        if any(x.shape != y.shape or not torch.allclose(x, y, 1e-9, 1e-9, True) for x, y in zip(results, again)):
            return True
    return False


# PyTorch's own gradient is not the derivative: of `as_strided_scatter` it is zero where the input is kept and
# not where it is replaced; of unpooling all values that went to one place have one, where the last stands.
# These are linear, so central differences are exact but for rounding.
BY_DIFFERENCES = {"as_strided_scatter"} | {f"nn.functional.max_unpool{axes}d" for axes in (1, 2, 3)}


# PyTorch's own second gradient is not the derivative: of losses in chunks it is zero.
WITHOUT_SECOND = {"nn.functional.linear_cross_entropy.chunked", "nn.functional.linear_cross_entropy.chunked_none"}


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


def sample_of(op, sample, gradients, second, dtype):
    given = tree_map(lambda x: rounded(x, dtype), (sample.input, list(sample.args), dict(sample.kwargs)))
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
    line["outputs"] = [described(x) for x in results]
    if undetermined(op, given, results, drew):
        line["undetermined"] = True
    wanted = [(x, widened[id(x)]) for x in leaves(given) if x.requires_grad]
    if not gradients or not wanted:
        return line
    own = [x for _, x in wanted]
    size = sum(x.numel() for x in own)
    by_differing = op.name in BY_DIFFERENCES
    second = second and not by_differing and not line.get("undetermined") and size <= SECOND_ELEMENTS_MAX
    found = gradients_of(results, own, create_graph=second)
    if found is None:
        return line
    for (x, _), gradient in zip(wanted, found):
        gradient = by_differences(op, given, x) if by_differing else gradient
        texts[id(x)]["gradient"] = described(gradient)["data"]
    if second:
        try:
            again = gradients_of(found, own) or [torch.zeros_like(x) for x in own]
        except RuntimeError:
            return line
        for (x, _), gradient in zip(wanted, again):
            texts[id(x)]["second"] = described(gradient)["data"]
    return line


def gradients_of(results, leaves, create_graph=False):
    """Of the weighted sum of all floats; none if no result depends on a leaf."""
    total = total_of(results)
    if not isinstance(total, torch.Tensor):
        return None
    found = torch.autograd.grad(total, leaves, create_graph=create_graph, allow_unused=True)
    return [torch.zeros_like(x) if gradient is None else gradient for x, gradient in zip(leaves, found)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--slice", type=int)
    parser.add_argument("--only")
    parser.add_argument("--round", choices=["f32", "f16", "bf16"], default="f32")
    options = parser.parse_args()
    dtype = {name: dtype for dtype, name in KINDS.items()}[options.round]
    if options.round != "f32":
        options.folder = options.folder / options.round
    options.folder.mkdir(parents=True, exist_ok=True)
    everything = []
    for op in op_db:
        name = op.name + ("." + op.variant_test_name if op.variant_test_name else "")
        if torch.float32 not in op.dtypes or dtype not in op.dtypes or (options.only and name != options.only):
            continue
        lines, left_out = [], {}
        gradients = op.supports_autograd and torch.float32 in op.backward_dtypes and dtype in op.backward_dtypes
        second = op.supports_gradgrad and name not in WITHOUT_SECOND
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
                lines.append(json.dumps(sample_of(op, sample, gradients, second, dtype), separators=(",", ":")))
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
