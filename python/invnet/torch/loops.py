"""Unrolled loops: iterative solvers of inverse problems with physics inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError
from .combinators import Composite, Identity, JoinedChannels, Sequential
from .conditioners import supplied
from .core import (
    Bijection,
    Conditioner,
    require_channels,
    require_count,
    require_shape,
)
from .couplings import AdditiveCoupling, IrimCoupling
from .elementwise import Activation
from .hint import HintCoupling
from .linear import ActNorm

Operator = Callable[[Tensor], Tensor]
"""The physics: maps an image to the data that would be observed, by torch's operations."""


class MisfitGradient(Conditioner):
    """g(η, d) = (N(J(u)ᵀ(F(u) − d)), 0) with u = ψ(η), an `ActNorm` N and the data d as context.

    The operator is F alone, as a function of torch: J(u)ᵀ and all derivatives are taken from it.
    """

    uses_context = True

    def __init__(
        self,
        channels: int,
        out_channels: int,
        operator: Operator,
        link: Activation | None = None,
        actnorm: bool = True,
    ) -> None:
        super().__init__()
        if not callable(operator):
            raise ArgumentError("operator is no function; expected one from an image to its data")
        self.channels, self.out_channels = channels, out_channels
        # An operator with parameters of its own is not trained here, nor saved.
        self.__dict__["operator"] = operator
        self.link = link
        self.norm = ActNorm(channels) if actnorm else Identity()

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        if context is None:
            raise ArgumentError("UnrolledLoop: expected the data as context, got none.")
        require_channels(self, x, self.channels)
        trained = torch.is_grad_enabled()
        with torch.enable_grad():
            u = x if self.link is None else self.link(x)
            u = u if u.requires_grad else u.detach().requires_grad_()
            predicted = self.operator(u)
        require_shape(self, "what the operator gave", predicted, tuple(context.shape))
        residual = predicted - context
        gradient, *_ = torch.autograd.grad(predicted, u, residual, create_graph=trained)
        y, _ = self.norm(gradient)
        rest = self.out_channels - self.channels
        return torch.cat([y, y.new_zeros(len(y), rest, *y.shape[2:])], 1)


class UnrolledLoop(Composite):
    """(η, s) ↦ (η, s) after K iterations: s ← s + N(J(u)ᵀ(F(u) − d)), then a coupling of both."""

    def __init__(
        self,
        memory_channels: int,
        iterations: int,
        operator: Operator,
        channels: int = 1,
        link: Activation | None = None,
        coupling: str = "additive",
        hidden: int = 64,
        ndims: int = 2,
        conditioner: Any = None,
        actnorm: bool = True,
    ) -> None:
        super().__init__()
        require_count("iterations", iterations)
        total = channels + memory_channels
        sizes = {"hidden": hidden, "ndims": ndims, "conditioner": supplied(conditioner)}

        def mixing() -> Bijection:
            if coupling == "hint":
                return HintCoupling(total, "both", **sizes)
            return IrimCoupling(total, **sizes)

        def iteration() -> Sequential:
            gradient = MisfitGradient(channels, memory_channels, operator, link, actnorm)
            both = JoinedChannels(mixing(), (channels, memory_channels))
            return Sequential([AdditiveCoupling(gradient), both], ["gradient", "coupling"])

        self.inner = Sequential([iteration() for _ in range(iterations)])

    @property
    def whole(self) -> Bijection:
        return self.inner
