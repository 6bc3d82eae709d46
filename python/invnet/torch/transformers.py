"""Transformers: families of increasing maps of one number, and those that hold their parameters.

Left out: splines.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError, ShapeError
from .core import (
    Bijection,
    along_channels,
    per_sample,
    require_channels,
    require_shape,
)
from .elementwise import Activation, Exp, ExpClamp, Sigmoid
from .tree import Module, parameter

Moved = tuple[Tensor, Tensor | None]
"""Numbers, and the sum of the logarithms of slopes for each sample, None for zeros."""


class Transformer(Module):
    """y = f(x; p) for each number of x [N, C, ...], with `size` parameters for each.

    Parameter j of channel c is channel j·C + c of p [N, size·C, ...].
    """

    size: int
    """How many parameters each number has."""

    pointwise = True
    """Is what it does to a number a matter of that number and its own parameters alone?"""

    def forward(self, x: Tensor, p: Tensor) -> Moved:
        """y, and Σ log ∂f/∂x, None for zeros."""
        raise NotImplementedError

    def inverse(self, y: Tensor, p: Tensor) -> Moved:
        """x, and Σ log ∂f⁻¹/∂y."""
        raise NotImplementedError


class AdditiveTransformer(Transformer):
    """y = x + t with p = t; logdet = 0."""

    size = 1

    def forward(self, x: Tensor, p: Tensor) -> Moved:
        return x + p, None

    def inverse(self, y: Tensor, p: Tensor) -> Moved:
        return y - p, None


class AffineTransformer(Transformer):
    """y = s x + t with s = f(r) and p = (r, t); logdet = Σ log s."""

    size = 2

    def __init__(self, scale_function: Activation | None = None) -> None:
        super().__init__()
        self.scale_function = Sigmoid(0.5, 1.5) if scale_function is None else scale_function

    def forward(self, x: Tensor, p: Tensor) -> Moved:
        r, t = p.chunk(2, 1)
        return self.scale_function(r) * x + t, per_sample(self.scale_function.log(r))

    def inverse(self, y: Tensor, p: Tensor) -> Moved:
        r, t = p.chunk(2, 1)
        return (y - t) / self.scale_function(r), -per_sample(self.scale_function.log(r))


class ScalingTransformer(Transformer):
    """y = s x with s = f(r) and p = r; logdet = Σ log s."""

    size = 1

    def __init__(self, scale_function: Activation | None = None) -> None:
        super().__init__()
        self.scale_function = Exp() if scale_function is None else scale_function

    def forward(self, x: Tensor, p: Tensor) -> Moved:
        return self.scale_function(p) * x, per_sample(self.scale_function.log(p))

    def inverse(self, y: Tensor, p: Tensor) -> Moved:
        return y / self.scale_function(p), -per_sample(self.scale_function.log(p))


class VolumePreservingTransformer(Transformer):
    """y = s x + t with log s = λ − mean λ, λ = log f(r) and p = (r, t); logdet = 0.

    The mean is over the ``channels`` at each position, or over all numbers of a ``sample``.
    """

    size = 2
    pointwise = False

    def __init__(self, scale_function: Activation | None = None, over: str = "channels") -> None:
        super().__init__()
        if over not in ("channels", "sample"):
            raise ArgumentError(f"over is {over!r}, which is not known")
        self.scale_function = ExpClamp() if scale_function is None else scale_function
        self.over = over

    def forward(self, x: Tensor, p: Tensor) -> Moved:
        s, t = self._scale_and_shift(p)
        return s * x + t, None

    def inverse(self, y: Tensor, p: Tensor) -> Moved:
        s, t = self._scale_and_shift(p)
        return (y - t) / s, None

    def _scale_and_shift(self, p: Tensor) -> tuple[Tensor, Tensor]:
        r, t = p.chunk(2, 1)
        logs = self.scale_function.log(r)
        axes = [1] if self.over == "channels" else list(range(1, p.dim()))
        return torch.exp(logs - logs.mean(axes, keepdim=True)), t


class ElementwiseTransform(Bijection):
    """y = f(x; p) with parameters for each channel, or for each number of a sample of ``size``."""

    def __init__(
        self, channels: int, transformer: Transformer, size: list[int] | None = None
    ) -> None:
        super().__init__()
        self.channels, self.sizes = channels, size
        self.transformer = require_transformer(transformer)
        self.p = parameter(transformer.size * channels, *(size or ()))

    def _map(self, x: Tensor, context: Any) -> Moved:
        return self.transformer(x, self._spread(x))

    def _map_back(self, y: Tensor, context: Any) -> Moved:
        return self.transformer.inverse(y, self._spread(y))

    def _spread(self, x: Tensor) -> Tensor:
        if self.sizes is None:
            require_channels(self, x, self.channels)
            own = along_channels(self.p, x)
        else:
            require_shape(self, "a sample", x[:1], (1, self.channels, *self.sizes))
            own = self.p
        return own.expand(len(x), len(self.p), *x.shape[2:])


def require_transformer(value: Any, pointwise: bool = False) -> Transformer:
    """The transformer itself. Raises unless it is one, of one number where that is needed."""
    if not isinstance(value, Transformer):
        raise ArgumentError(f"transformer is {type(value).__name__}; expected a transformer")
    if pointwise and not value.pointwise:
        raise ArgumentError(f"{type(value).__name__} moves several numbers; expected one")
    return value


def parameters_for(module: Module, f: Transformer, given: Tensor, x: Tensor) -> Tensor:
    """What a conditioner gave. Raises unless it is parameters for every number of x."""
    n, channels, *size = x.shape
    expected = (n, f.size * channels, *size)
    if tuple(given.shape) == expected:
        return given
    raise ShapeError(
        f"{type(module).__name__}: the conditioner returned {list(given.shape)}; expected "
        f"{list(expected)}: {f.size} parameters for each of {channels} channels."
    )
