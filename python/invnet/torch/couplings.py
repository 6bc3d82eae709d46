"""Couplings, and leapfrog steps: maps of pairs that move one tensor in dependence on the other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError, ShapeError
from .combinators import ChannelHalves, Composite, Pair, Parallel, Reversed, Sequential, Swapped
from .conditioners import ConditionerFactory, SymmetricBlock, made_conditioner
from .core import Bijection, Conditioner, halves_of, per_sample, run, run_back
from .elementwise import Activation, Sigmoid
from .linear import Conv1x1
from .squeezes import HaarSqueeze


class AdditiveCoupling(Bijection):
    """(x₁, x₂) ↦ (x₁, x₂ + g(x₁, context)); logdet = 0."""

    state_size = 2

    def __init__(self, conditioner: Conditioner) -> None:
        super().__init__()
        self.conditioner = conditioner

    def _map(self, x: Pair, context: Tensor | None) -> tuple[Pair, None]:
        return (x[0], x[1] + self._shift(x, context)), None

    def _map_back(self, y: Pair, context: Tensor | None) -> tuple[Pair, None]:
        return (y[0], y[1] - self._shift(y, context)), None

    def _shift(self, pair: Pair, context: Tensor | None) -> Tensor:
        return fitting(self, run(self.conditioner, pair[0], context), tuple(pair[1].shape))


class BasicCoupling(Bijection):
    """(x₁, x₂) ↦ (x₁, s ⊙ x₂ + t) with (r, t) = g(x₁, context), s = f(r); logdet = Σ log s."""

    state_size = 2

    def __init__(
        self,
        channels: tuple[int, int],
        conditioner: Conditioner | ConditionerFactory | None = None,
        scale_function: Activation | None = None,
        context_channels: int = 0,
        hidden: int = 64,
        ndims: int = 2,
    ) -> None:
        super().__init__()
        shape = (channels[0], 2 * channels[1], ndims, context_channels)
        self.conditioner = made_conditioner(conditioner, *shape, hidden=hidden)
        self.scale_function = Sigmoid(0.5, 1.5) if scale_function is None else scale_function

    def _map(self, x: Pair, context: Tensor | None) -> tuple[Pair, Tensor]:
        r, t = self._unpacked(x, context)
        y2 = self.scale_function(r) * x[1] + t
        return (x[0], y2), per_sample(self.scale_function.log(r))

    def _map_back(self, y: Pair, context: Tensor | None) -> tuple[Pair, Tensor]:
        r, t = self._unpacked(y, context)
        x2 = (y[1] - t) / self.scale_function(r)
        return (y[0], x2), -per_sample(self.scale_function.log(r))

    def _unpacked(self, pair: Pair, context: Tensor | None) -> Any:
        n, moved, *size = pair[1].shape
        rt = run(self.conditioner, pair[0], context)
        return fitting(self, rt, (n, 2 * moved, *size)).chunk(2, 1)


class GlowCoupling(ChannelHalves):
    """y₁ = x₁, y₂ = s ⊙ x₂ + t on two parts of the channels, by default its halves.

    Where it moves the ``first``, x₂ conditions and x₁ is moved.
    """

    def __init__(
        self,
        channels: int,
        split: tuple[int, int] | None = None,
        moves: str = "second",
        **options: Any,
    ) -> None:
        first, second = halves_of(channels) if split is None else split
        if first + second != channels:
            raise ArgumentError(f"split is {split}; expected two numbers that add up to {channels}")
        if moves not in ("first", "second"):
            raise ArgumentError(f"moves is {moves!r}, which is not known")
        inner: Bijection = (
            BasicCoupling((first, second), **options)
            if moves == "second"
            else Swapped(BasicCoupling((second, first), **options))
        )
        super().__init__(inner, (first, second))


class ConditionalGlowCoupling(GlowCoupling):
    """As `GlowCoupling`, with a scale and a shift that depend on a context."""

    def __init__(self, channels: int, context_channels: int, **options: Any) -> None:
        super().__init__(channels, context_channels=context_channels, **options)


class RecursiveCoupling(Bijection):
    """(x₁, x₂) ↦ (A(x₁), c₂(x₁, B(x₂))) with A = `first`, B = `second`, c the coupling."""

    state_size = 2

    def __init__(self, first: Bijection, second: Bijection, coupling: Bijection) -> None:
        super().__init__()
        self.coupling, self.first, self.second = coupling, first, second

    def _map(self, x: Pair, context: Tensor | None) -> tuple[Pair, Tensor]:
        inner, l2 = run(self.second, x[1], context)
        (_, y2), lc = run(self.coupling, (x[0], inner), context)
        y1, l1 = run(self.first, x[0], context)
        return (y1, y2), l1 + l2 + lc

    def _map_back(self, y: Pair, context: Tensor | None) -> tuple[Pair, Tensor]:
        x1, l1 = run_back(self.first, y[0], context)
        (_, inner), lc = run_back(self.coupling, (x1, y[1]), context)
        x2, l2 = run_back(self.second, inner, context)
        return (x1, x2), l1 + l2 + lc


class IrimCoupling(Composite):
    """y = Wᵀ(u₁, u₂ + g(u₁)) with u = W x, for an orthogonal W; logdet = 0."""

    def __init__(
        self,
        channels: int,
        conditioner: Conditioner | ConditionerFactory | None = None,
        hidden: int = 64,
        ndims: int = 2,
    ) -> None:
        super().__init__()
        halves = halves_of(channels)
        self.mix = Conv1x1(channels)
        made = made_conditioner(conditioner, *halves, ndims, hidden=hidden)
        self.coupling = ChannelHalves(AdditiveCoupling(made), halves)

    @property
    def whole(self) -> Bijection:
        return Sequential([self.mix, self.coupling, Reversed(self.mix)])


class Leapfrog(Bijection):
    """(x₀, x₁) ↦ (x₁, 2x₁ − x₀ + α g(x₁, context)); logdet = 0."""

    state_size = 2

    def __init__(self, force: Conditioner, step_size: float) -> None:
        super().__init__()
        self.force = force
        self.step_size = step_size

    def _map(self, x: Pair, context: Tensor | None) -> tuple[Pair, None]:
        return (x[1], self._next(x[0], x[1], context)), None

    def _map_back(self, y: Pair, context: Tensor | None) -> tuple[Pair, None]:
        return (self._next(y[1], y[0], context), y[0]), None

    def _next(self, other: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        force = fitting(self, run(self.force, x, context), tuple(x.shape))
        return 2 * x + self.step_size * force - other


class HyperbolicLayer(Composite):
    """(x₀, x₁) ↦ (x₁, 2x₁ − x₀ + α g(x₁)), behind a change of the resolution.

    The force g is −Kᵀrelu(K x + b) where no conditioner is given.
    """

    def __init__(
        self,
        channels: int,
        hidden: int | None = None,
        ndims: int = 2,
        kernel: int = 3,
        resolution: str = "keep",
        step_size: float = 1,
        conditioner: Conditioner | ConditionerFactory | None = None,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        width = channels_after(channels, resolution, ndims)
        if conditioner is None:
            force: Conditioner = SymmetricBlock(width, hidden, ndims, kernel)
        else:
            force = made_conditioner(conditioner, width, width, ndims)
        self.step = Leapfrog(force, step_size)

    @property
    def whole(self) -> Bijection:
        if self.resolution == "keep":
            return self.step
        halve = Parallel({"first": HaarSqueeze(), "second": HaarSqueeze()})
        change = halve if self.resolution == "halve" else Reversed(halve)
        return Sequential([change, self.step])


def channels_after(channels: int, resolution: str, ndims: int) -> int:
    """Channels that a change of resolution leaves."""
    bands = 2**ndims
    return {"keep": channels, "halve": channels * bands, "double": channels // bands}[resolution]


def fitting(module: torch.nn.Module, given: Tensor, shape: tuple[int, ...]) -> Tensor:
    """What a conditioner gave. Raises unless it has the shape that is needed."""
    if tuple(given.shape) == shape:
        return given
    raise ShapeError(
        f"{type(module).__name__}: the conditioner returned {list(given.shape)}; expected "
        f"{list(shape)}."
    )
