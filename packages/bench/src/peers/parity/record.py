"""Says what layers of other libraries compute.

    python3 record.py FOLDER [library[:layer] …]

writes a file for each of their layers, or for those that are named, and prints one line of JSON: of each library its
layers with their files, or the reason why there are none. A file has the input, a context, a random linear functional of y and the
log-determinant, our parameters (`ours.<path>`), their derivative with respect to all parameters of the layer,
as a sparse matrix (`derivative.rows`, `.columns`, `.values`), and in float32 and in float64 the results.
"""

import copy
import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[5] / "python"))

from invnet import safetensors  # noqa: E402

LIBRARIES = ("FrEIA", "memcnn", "nflows", "normflows", "zuko")


def rounded(t):
    """Numbers that float32 has as well."""
    return t.detach().to(torch.float32).to(torch.float64)


def trained(module):
    return [p for p in module.parameters() if p.requires_grad and p.is_floating_point()]


def derivative(outputs, inputs):
    """The entries of the Jacobian that are not zero: rows, columns and values."""
    flat = torch.cat([t.reshape(-1) for t in outputs]) if outputs else torch.zeros(0)
    rows, columns, values = [], [], []
    for i, value in enumerate(flat):
        if not value.requires_grad:
            continue
        grads = torch.autograd.grad(value, inputs, retain_graph=True, allow_unused=True)
        row = torch.cat(
            [torch.zeros(p.numel()) if g is None else g.reshape(-1) for g, p in zip(grads, inputs)]
        )
        (at,) = torch.nonzero(row, as_tuple=True)
        rows += [i] * len(at)
        columns += at.tolist()
        values += row[at].tolist()
    return {"rows": rows, "columns": columns, "values": values}


def results(case, module, x, context, functional):
    """y, logdet, inverse and gradients in the precision of x."""
    torch.set_default_dtype(x.dtype)
    x = x.clone().requires_grad_(True)
    context = None if context is None else context.clone().requires_grad_(True)
    y, logdet = case.forward(module, x, context)
    found = {"y": y}
    loss = (functional["y"].to(y.dtype) * y).sum()
    if logdet is not None:
        logdet = torch.as_tensor(logdet, dtype=y.dtype).expand(len(x))
        loss = loss + (functional["logdet"].to(y.dtype) * logdet).sum()
        found["logdet"] = logdet
    parameters = trained(module)
    inputs = [x, *([] if context is None else [context]), *parameters]
    grads = torch.autograd.grad(loss, inputs, allow_unused=True)
    grads = [torch.zeros_like(t) if g is None else g for g, t in zip(grads, inputs)]
    found["dx"] = grads.pop(0)
    if context is not None:
        found["dcontext"] = grads.pop(0)
    found["dparameters"] = torch.cat([torch.zeros(0), *(g.reshape(-1) for g in grads)])
    if case.inverse is not None:
        with torch.no_grad():
            found["inverse"] = case.inverse(
                module, y.detach().clone(), None if context is None else context.detach()
            )
    torch.set_default_dtype(torch.float64)
    return {k: v.detach() for k, v in found.items()}


def record(library, case, path):
    module = case.module.eval()
    generator = torch.Generator().manual_seed(7)
    draw = lambda *shape: torch.randn(shape, generator=generator)
    with torch.no_grad():
        for p in trained(module):
            p.copy_(rounded(p + case.deviation * draw(*p.shape)))
    x = rounded(case.x if isinstance(case.x, torch.Tensor) else draw(*case.x))
    context = None if case.context is None else rounded(draw(*case.context))
    ours = case.weights(module)
    tensors = {f"ours.{k}": v for k, v in ours.items()}
    tensors |= {
        f"derivative.{k}": v for k, v in derivative(list(ours.values()), trained(module)).items()
    }
    tensors |= {f"given.{k}": v for k, v in case.given.items()}
    with torch.no_grad():
        shape = case.forward(copy.deepcopy(module), x, context)[0].shape
    functional = {"y": rounded(draw(*shape)), "logdet": rounded(draw(len(x)))}
    tensors |= {"x": x, "functional.y": functional["y"], "functional.logdet": functional["logdet"]}
    if context is not None:
        tensors["context"] = context
    for dtype in (torch.float64, torch.float32):
        there = None if context is None else context.to(dtype)
        found = results(case, copy.deepcopy(module).to(dtype), x.to(dtype), there, functional)
        tensors |= {f"{str(dtype).removeprefix('torch.')}.{k}": v for k, v in found.items()}
    arrays = {
        k: np.asarray(v.detach() if isinstance(v, torch.Tensor) else v, dtype=np.float64)
        for k, v in tensors.items()
    }
    path.write_bytes(safetensors.write(arrays, {"library": library, "layer": case.name}))


def main(folder, *wanted):
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    index = []
    for library in LIBRARIES:
        chosen = [w.partition(":")[2] for w in wanted if w.partition(":")[0] == library]
        if wanted and not chosen:
            continue
        torch.manual_seed(1)
        np.random.seed(1)
        try:
            importlib.import_module(library)
        except ImportError as error:
            index.append({"library": library, "layers": [], "missing": str(error)})
            continue
        layers = []
        for case in importlib.import_module(f"of_{library.lower()}").cases():
            if any(chosen) and case.name not in chosen:
                continue
            file = f"{library}-{re.sub('[^A-Za-z0-9]+', '-', case.name)}.safetensors"
            try:
                record(library, case, Path(folder) / file)
            except Exception as error:
                raise RuntimeError(f"{library} {case.name}: {error}") from error
            layers.append({"name": case.name, "file": file})
        index.append({"library": library, "layers": layers})
    print(json.dumps(index))


if __name__ == "__main__":
    main(*sys.argv[1:])
