"""Solving z = s(z) for a contraction s by iteration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..errors import ArgumentError
from .derivatives import pullback


def fixed_point(
    op: str,
    step: Callable[[Tensor], Tensor],
    start: Tensor,
    max_iterations: int,
    tolerance: float | None = None,
    rounding: float = 0.0,
) -> Tensor:
    """z = step(z), from z = ``start`` on.

    Parameters
    ----------
    tolerance : float, optional
        The largest change of a step that ends it, relative to the largest number that its sample
        starts with. Eight units in the last place where it is left out.
    rounding : float
        A change up to this ends it too where it is no smaller than the one before.
    """
    limit = 8 * torch.finfo(start.dtype).eps if tolerance is None else tolerance
    z, sizes, change = start, None, math.inf
    for _ in range(max_iterations):
        before, z = z, step(z)
        if sizes is None:
            sizes = torch.maximum(_largest(start), _largest(z)).clamp(min=1e-30)
        last, change = change, float((_largest(z - before) / sizes).max())
        if change <= limit or last <= change <= rounding or not math.isfinite(change):
            return z
    raise ArgumentError(
        f"{op}: after {max_iterations} iterations the change is {change:.3g} of the largest "
        f"number; expected at most {limit:.3g}."
    )


def solution(op: str, f: Callable[[Tensor], Tensor], x: Tensor, **options: Any) -> Tensor:
    """z = x + f(z) for a contraction f, as `fixed_point` finds it, in memory of one evaluation.

    Its gradient solves w = dz + Jᵀw with J = ∂f/∂z in the same way, instead of going back through
    the iterations.
    """
    with torch.no_grad():
        z = fixed_point(op, lambda z: x + f(z), x, **options)
    if not torch.is_grad_enabled():
        return z
    moved, pull = pullback(f, z)

    def solved(d: Tensor) -> Tensor:
        return fixed_point(op, lambda w: d + pull(w), d, **options)

    return _Solution.apply(x + moved, solved)


class _Solution(torch.autograd.Function):
    """z itself, whose gradient is what the given function makes of it."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, solved: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.solved = solved
        return z.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor, None]:
        return ctx.solved(d), None


def _largest(z: Tensor) -> Tensor:
    """The largest number of each sample, without its sign."""
    return z.detach().abs().flatten(1).amax(1)
