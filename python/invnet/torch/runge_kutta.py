"""Solvers of dy/dt = f(t, y) for several tensors together.

The classical method of fourth order by equal steps, and the pair of orders 5 and 4 by steps of its
own choice (Dormand and Prince, "A family of embedded Runge–Kutta formulae", 1980).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import ArgumentError

Numbers = Sequence[Tensor]
"""What is followed: the state, and what goes along with it."""

Derivative = Callable[[float, Numbers], Numbers]
"""f(t, y), a tensor for each of y's."""


def runge_kutta_4(f: Derivative, y: Numbers, start: float, end: float, steps: int) -> Numbers:
    """y at the end, by equal steps."""
    h = (end - start) / steps
    for i in range(steps):
        t = start + i * h
        k1 = f(t, y)
        k2 = f(t + h / 2, _moved(y, [k1], [h / 2]))
        k3 = f(t + h / 2, _moved(y, [k2], [h / 2]))
        k4 = f(t + h, _moved(y, [k3], [h]))
        y = _moved(y, [k1, k2, k3, k4], [h / 6, h / 3, h / 3, h / 6])
    return y


def dormand_prince(
    op: str,
    f: Derivative,
    y: Numbers,
    start: float,
    end: float,
    *,
    relative: float,
    absolute: float,
    max_steps: int,
) -> Numbers:
    """y at the end, by steps whose error, in the mean over all samples, is within tolerances."""
    whole = end - start
    done, part = 0.0, _FIRST_STEP
    slope = f(start, y)
    for _ in range(max_steps):
        last = done + part >= 1
        h = 1 - done if last else part
        k, after = [slope], y
        for node, weights in zip(_NODES, _TABLEAU, strict=True):
            after = _moved(y, k, [w * h * whole for w in weights])
            k.append(f(start + (done + node * h) * whole, after))
        error = _error(y, after, k, h * whole, relative, absolute)
        growth = _SAFETY * error**-0.2 if error > 0 else _MOST
        part = h * min(_MOST, max(_LEAST, growth))
        if error > 1:
            continue
        y, slope, done = after, k[-1], done + h
        if last:
            return y
    raise ArgumentError(
        f"{op}: after {max_steps} steps {100 * done:.3g} % of the way are behind; expected a "
        "velocity that is finite and smooth, or larger tolerances."
    )


_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1)
_TABLEAU = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
"""Rows behind the first; the last one is the result of order 5."""

_DIFFERENCE = (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
"""What the result of order 5 has beyond that of order 4."""

_FIRST_STEP, _MOST, _LEAST, _SAFETY = 0.05, 5.0, 0.2, 0.9
"""The first step, of the whole span; and by how much a step may grow or shrink to the next."""

_BESIDE = 0.01
"""What errors of the tensors behind the first count for: nats, of which few digits are read."""


def _moved(y: Numbers, k: Sequence[Numbers], h: Sequence[float]) -> list[Tensor]:
    """y + Σ hᵢkᵢ"""
    moved = list(y)
    for slope, length in zip(k, h, strict=True):
        if length:
            moved = [t + length * s for t, s in zip(moved, slope, strict=True)]
    return moved


@torch.no_grad()
def _error(
    y: Numbers, after: Numbers, k: Sequence[Numbers], h: float, relative: float, absolute: float
) -> float:
    """The error relative to the tolerances: its root mean square, the largest of the tensors'."""
    still = [torch.zeros_like(t) for t in y]
    errors = _moved(still, k, [w * h for w in _DIFFERENCE])
    found = [
        (error / (absolute + relative * torch.maximum(a.abs(), b.abs()))).square().mean().sqrt()
        for error, a, b in zip(errors, y, after, strict=True)
    ]
    weights = [1.0, *[_BESIDE] * (len(found) - 1)]
    # A number that is none is no error that a step could have.
    return max(float((w * e).nan_to_num(torch.inf)) for w, e in zip(weights, found, strict=True))
