"""A layer of another library, and our parameters as functions of its own."""

from dataclasses import dataclass, field
from typing import Any, Callable

import numpy as np
import torch
from torch import Tensor, nn

SLOPE = float(np.log(np.expm1(1 - 1e-3)))
"""What nflows adds to the slopes of splines before the softplus, and we as well."""


@dataclass
class Case:
    """One row of the suite. `weights` says what our parameters are, by their paths, so that gradients can be compared."""

    name: str
    module: nn.Module
    weights: Callable[[Any], dict[str, Tensor]]
    x: tuple[int, ...] | Tensor
    context: tuple[int, ...] | None = None
    forward: Callable[..., Any] = lambda m, x, c: m(x, c)
    """y and the log-determinant, or None for a library that has none."""
    inverse: Callable[..., Any] | None = lambda m, y, c: m.inverse(y, c)[0]
    """None where the library has none."""
    given: dict[str, Any] = field(default_factory=dict)
    """Numbers that our constructor needs, such as an order."""
    deviation: float = 0.4
    """By how much parameters are moved, those that start at zero among them."""


class Net(nn.Module):
    """The network of couplings: a layer, tanh, a layer; with a context beside x."""

    def __init__(self, inputs: int, outputs: int, hidden: int = 5):
        super().__init__()
        self.first, self.last = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)

    def forward(self, x, context=None):
        x = x if context is None else torch.cat([x, context], 1)
        return self.last(torch.tanh(self.first(x)))


def net(path: str, m: Net, rows=None, factor=1.0, offset=0.0) -> dict[str, Tensor]:
    """Ours of `Net`, whose last layer has its rows in another order, then times a factor, then plus an offset."""
    return {**dense(f"{path}.0", m.first), **dense(f"{path}.2", m.last, rows, factor, offset)}


def dense(path: str, m: nn.Linear, rows=None, factor=1.0, offset=0.0) -> dict[str, Tensor]:
    rows = torch.arange(len(m.weight)) if rows is None else torch.as_tensor(rows)
    factor = torch.as_tensor(factor, dtype=m.weight.dtype).expand(len(rows))
    return {
        f"{path}.w": m.weight[rows] * factor[:, None],
        f"{path}.b": m.bias[rows] * factor + torch.as_tensor(offset, dtype=m.bias.dtype),
    }


def apart(channels: int, size: int) -> list[int]:
    """The rows of parameters that lie side by side for each channel, in our order."""
    return [c * size + j for j in range(size) for c in range(channels)]


def spread(values, channels: int) -> Tensor:
    """A value for each parameter of a channel, as one for each row of ours."""
    return torch.as_tensor(values, dtype=torch.float64).repeat_interleave(channels)


def triangles(lower: Tensor, diagonal: Tensor, upper: Tensor) -> Tensor:
    """Our `lu` of the entries of a unit lower and an upper triangular matrix, row by row, and the diagonal."""
    n = len(diagonal)
    lu = torch.diag(torch.log(torch.abs(diagonal)))
    for entries, indices in ((lower, np.tril_indices(n, -1)), (upper, np.triu_indices(n, 1))):
        lu = lu.index_put(tuple(torch.as_tensor(i) for i in indices), entries)
    return lu


def factors(matrix: Tensor) -> tuple[Tensor, list[int], list[float]]:
    """Our `lu`, rows and signs of a matrix."""
    p, lower, upper = torch.linalg.lu(matrix)
    diagonal = torch.diagonal(upper)
    lu = torch.tril(lower, -1) + torch.triu(upper, 1) + torch.diag(torch.log(torch.abs(diagonal)))
    return lu, p.argmax(1).tolist(), torch.sign(diagonal).tolist()


def made(path, layers, contexts, channels, results, *, order=None, ahead=0.0, factor=1.0):
    """Ours of a masked network: layers (weight, bias, mask) and those of the context (weight, bias).

    Its units stand as they come, ours sorted, stably, by the last channel that they see; its results lie side by side
    for each channel, `results` being those that ours are, times `factor` and less `ahead`.
    """
    order = list(range(channels)) if order is None else order
    joined = layers[0][0].shape[1] - channels
    place = {c: i for i, c in enumerate(order)}
    known = [place.get(c, -1) for c in range(channels + joined)]
    columns = [*order, *range(channels, channels + joined)]
    ours = {}
    for i, (w, b, mask) in enumerate(layers):
        knows = [max([-1, *(known[c] for c, on in enumerate(row) if on)]) for row in mask.tolist()]
        last = i == len(layers) - 1
        rows = sorted(range(len(knows)), key=knows.__getitem__)
        if last:
            rows = [c * len(results) + j for j in results for c in order]
        scale = (
            spread(factor, channels)
            if last and not isinstance(factor, float)
            else torch.ones(len(rows), dtype=w.dtype)
        )
        less = spread(ahead, channels) if last and not isinstance(ahead, float) else 0.0
        ours[f"{path}.w{i}"] = w[rows][:, columns] * scale[:, None]
        ours[f"{path}.b{i}"] = b[rows] * scale - less
        if contexts and (i == 0 or i % 2 == 1) and (i + 1) // 2 < len(contexts):
            cw, cb = contexts[(i + 1) // 2]
            ours[f"{path}.v{(i + 1) // 2}"], ours[f"{path}.c{(i + 1) // 2}"] = cw[rows], cb[rows]
        columns, known = rows, knows
    return ours


def made_of_nflows(path, m, channels, size, **options):
    """Of the `MADE` of nflows and normflows, with residual blocks or without."""
    linears = [m.initial_layer]
    for block in m.blocks:
        linears += block.linear_layers if hasattr(block, "linear_layers") else [block.linear]
    contexts = []
    if hasattr(m, "context_layer"):
        contexts = [
            m.context_layer,
            *(b.context_layer for b in m.blocks if hasattr(b, "context_layer")),
        ]
    layers = [(l.weight, l.bias, l.mask) for l in [*linears, m.final_layer]]
    pairs = [(l.weight, l.bias) for l in contexts]
    return made(path, layers, pairs, channels, range(size), **options)
