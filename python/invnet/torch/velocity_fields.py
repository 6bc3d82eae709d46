"""Velocities that continuous flows follow, as functions of place, time and a context."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ArgumentError
from .core import Conditioner, along_channels, per_sample, require_channels, require_shape, run
from .derivatives import pullback
from .elementwise import Activation, Elu, Silu, Tanh
from .tree import parameter


class VelocityField(Conditioner):
    """v([x, t], context) of x [N, C, …] with the time as one more channel, of the shape of x.

    The time is 0 at the base and 1 at the data.
    """

    channels: int

    def velocity(self, x: Tensor, t: float | Tensor, context: Tensor | None = None) -> Tensor:
        """v at a time of all samples, or one for each, [N]."""
        time = torch.as_tensor(t, dtype=x.dtype, device=x.device)
        time = time.reshape(-1, *[1] * (x.dim() - 1)).expand(len(x), 1, *x.shape[2:])
        return self(torch.cat([x, time], 1), context)

    def rate(
        self, x: Tensor, t: float, probes: Iterable[Tensor], context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """v, and its divergence as Σ ⟨p, J p⟩ over probes p of the shape of x, with J = ∂v/∂x.

        Exactly by the unit vectors of a sample, in the mean by random signs.
        """
        v, pull = pullback(partial(self.velocity, t=t, context=context), x)
        divergence = x.new_zeros(len(x))
        for p in probes:
            divergence = divergence + per_sample(p * pull(p))
        return v, divergence


class ConditionerField(VelocityField):
    """v = g([x, τ(t)], context) for a conditioner g, with τ(t) = (sin πkt, cos πkt)."""

    def __init__(self, channels: int, conditioner: Conditioner, frequencies: int = 4) -> None:
        super().__init__()
        self.channels, self.frequencies = channels, frequencies
        self.conditioner = conditioner

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        require_channels(self, x, self.channels + 1)
        place, time = x.split([self.channels, 1], 1)
        joined = torch.cat([place, _features(time, self.frequencies)], 1)
        return run(self.conditioner, joined, context)


class SmoothField(VelocityField):
    """v by dense layers h ↦ f(W h + U (τ(t), context) + b), the last one without f, on vectors.

    Numbers of x beyond ±reach count as it.
    """

    def __init__(
        self,
        channels: int,
        context_channels: int = 0,
        hidden: Iterable[int] = (64, 64, 64),
        frequencies: int = 4,
        activation: str = "silu",
        reach: float | None = None,
    ) -> None:
        super().__init__()
        self.reach = reach
        if activation not in _ACTIVATIONS:
            raise ArgumentError(f"activation is {activation!r}, which is not known")
        self.channels, self.context_channels = channels, context_channels
        self.frequencies, self.activation = frequencies, _ACTIVATIONS[activation]
        beside = 2 * frequencies + context_channels
        widths = [channels, *hidden, channels]
        self.depth = len(widths) - 1
        for i in range(1, len(widths)):
            self.register_parameter(f"w{i}", parameter(widths[i], widths[i - 1]))
            self.register_parameter(f"u{i}", parameter(widths[i], beside))
            self.register_parameter(f"b{i}", parameter(widths[i]))

    @property
    def uses_context(self) -> bool:  # type: ignore[override]
        """Has it channels of one?"""
        return self.context_channels > 0

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        require_shape(self, "a sample", x[:1], (1, self.channels + 1))
        h, time = x.split([self.channels, 1], 1)
        side = _features(time, self.frequencies)
        if self.uses_context:
            if context is None:
                raise ArgumentError("SmoothField: expected a context, got none.")
            require_shape(self, "the context", context, (len(x), self.context_channels))
            side = torch.cat([side, context], 1)
        if self.reach is not None:
            h = h.clamp(-self.reach, self.reach)
        for i in range(1, self.depth + 1):
            w, u, b = (getattr(self, f"{name}{i}") for name in "wub")
            h = functional.linear(h, w) + functional.linear(side, u, b)
            h = self.activation(h) if i < self.depth else h
        return h


_ACTIVATIONS: dict[str, Activation] = {"silu": Silu(), "elu": Elu(), "tanh": Tanh()}


def _features(time: Tensor, frequencies: int) -> Tensor:
    """(sin πkt, cos πkt) for k = 1 … K along the channels, of times [N, 1, …]."""
    rates = torch.arange(1, frequencies + 1, dtype=time.dtype, device=time.device) * math.pi
    angles = time * along_channels(rates, time)
    return torch.cat([angles.sin(), angles.cos()], 1)
