"""Flows along a velocity field, from the data at time 1 to the base at time 0."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..errors import ArgumentError
from .core import (
    Bijection,
    logdet_is_read,
    per_sample,
    require_channels,
    require_count,
    require_shape,
)
from .derivatives import jacobian, pullback, unit_vectors
from .fixed_point import solution
from .random_numbers import random_signs
from .runge_kutta import Derivative, Numbers, dormand_prince, runge_kutta_4
from .velocity_fields import SmoothField, VelocityField


class ContinuousFlow(Bijection):
    """x → z along dx/dt = v(x, t, context); logdet = ∫ div v dt.

    By Dormand and Prince's method within tolerances, or by equal steps of the classical one. The
    divergence is exact, or Hutchinson's estimate by signs that a seed draws. Gradients are those of
    the steps that were taken; InvNet solves the adjoint equation for them, to the same tolerances.
    """

    def __init__(
        self,
        field: VelocityField,
        solver: str = "dormandPrince",
        steps: int | None = None,
        relative_tolerance: float = 1e-5,
        absolute_tolerance: float = 1e-5,
        divergence: str = "exact",
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(field, VelocityField):
            raise ArgumentError(f"field is a {type(field).__name__}; expected a velocity field")
        if solver not in ("dormandPrince", "rungeKutta4"):
            raise ArgumentError(f"solver is {solver!r}, which is not known")
        self.field = field
        self.adaptive = solver == "dormandPrince"
        self.steps = (1000 if self.adaptive else 20) if steps is None else steps
        require_count("steps", self.steps)
        self.relative_tolerance, self.absolute_tolerance = relative_tolerance, absolute_tolerance
        self.seed = _seed_of(divergence, seed)

    def _map(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self._followed(x, context, 1, 0)

    def _map_back(self, y: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self._followed(y, context, 0, 1)

    def _followed(
        self, x: Tensor, context: Tensor | None, start: float, end: float
    ) -> tuple[Tensor, Tensor | None]:
        require_channels(self, x, self.field.channels)
        if not logdet_is_read():
            (y,) = self._solved(
                lambda t, y: [self.field.velocity(y[0], t, context)], [x], start, end
            )
            return y, None
        signs = None if self.seed is None else [random_signs(self.seed, x)]

        def rate(t: float, y: Numbers) -> Numbers:
            return self.field.rate(y[0], t, signs or unit_vectors(x), context)

        y, logdet = self._solved(rate, [x, x.new_zeros(len(x))], start, end)
        return y, logdet

    def _solved(self, f: Derivative, y: Numbers, start: float, end: float) -> Numbers:
        if not self.adaptive:
            return runge_kutta_4(f, y, start, end, self.steps)
        accuracy = {"relative": self.relative_tolerance, "absolute": self.absolute_tolerance}
        name = type(self).__name__
        return dormand_prince(name, f, y, start, end, max_steps=self.steps, **accuracy)


class MidpointFlow(Bijection):
    """x → z by steps x′ = x + h·v((x + x′)/2, t, context), each of which is a bijection.

    With a = h/2 and J = ∂v/∂x at the middle, logdet = Σ log det(I + aJ) − log det(I − aJ), or
    Hutchinson's estimate Σ h⟨ε, Jε⟩ by signs ε: those of the ``draws`` of the file, which stay.
    """

    draws: Tensor

    def __init__(
        self,
        field: SmoothField,
        steps: int = 16,
        max_iterations: int = 1000,
        divergence: str = "exact",
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(field, SmoothField):
            raise ArgumentError(f"field is a {type(field).__name__}; expected a SmoothField")
        require_count("steps", steps)
        require_count("maxIterations", max_iterations)
        self.field, self.steps, self.max_iterations = field, steps, max_iterations
        self.seed = _seed_of(divergence, seed)
        if self.seed is not None:
            self.register_buffer("draws", torch.empty((), device="meta"))

    def _map(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self._moved(x, context, self._times, -1 / (2 * self.steps))

    def _map_back(self, y: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self._moved(y, context, self._times[::-1], 1 / (2 * self.steps))

    @property
    def _times(self) -> list[float]:
        return [1 - (i + 0.5) / self.steps for i in range(self.steps)]

    def _moved(
        self, x: Tensor, context: Tensor | None, times: list[float], a: float
    ) -> tuple[Tensor, Tensor | None]:
        require_shape(self, "a sample", x[:1], (1, self.field.channels))
        signs = None
        if self.seed is not None:
            signs = random_signs(self.seed, x, int(self.draws) * _BLOCKS_PER_DRAW)
        logdet = x.new_zeros(len(x)) if logdet_is_read() else None
        for t in times:
            v = partial(self.field.velocity, t=t, context=context)
            middle = self._middle(v, x, a)
            if logdet is not None:
                logdet = logdet + _step_logdet(v, middle, a, signs)
            x = 2 * middle - x
        return x, logdet

    def _middle(self, v: Velocity, x: Tensor, a: float) -> Tensor:
        """m = x + a·v(m)"""
        # Layers sum many numbers, whose rounding may keep the iteration moving.
        rounding = 2**10 * torch.finfo(x.dtype).eps
        search = {"max_iterations": self.max_iterations, "rounding": rounding}
        return solution("MidpointFlow", lambda m: a * v(m), x, **search)


Velocity = Callable[[Tensor], Tensor]
"""v at a time, for a context."""

_BLOCKS_PER_DRAW = 2**28
"""Blocks of random numbers between two draws."""


def _seed_of(divergence: str, seed: int | None) -> int | None:
    """What draws the signs of Hutchinson's estimate; None where the divergence is exact."""
    if divergence not in ("exact", "hutchinson"):
        raise ArgumentError(f"divergence is {divergence!r}, which is not known")
    if (seed is None) != (divergence == "exact"):
        raise ArgumentError(f"seed is {seed}; expected one for 'hutchinson' alone")
    return seed


def _step_logdet(v: Velocity, middle: Tensor, a: float, signs: Tensor | None) -> Tensor:
    _, pull = pullback(v, middle)
    if signs is not None:
        return 2 * a * per_sample(signs * pull(signs))
    scaled = a * jacobian(pull, middle)
    unit = torch.eye(scaled.shape[-1], dtype=scaled.dtype, device=scaled.device)
    logdet = torch.linalg.slogdet
    return logdet(unit + scaled).logabsdet - logdet(unit - scaled).logabsdet
