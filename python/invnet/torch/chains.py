"""Conditioners of layers one after the other: dense and convolutional ones, pooling, U-Nets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ArgumentError, ShapeError
from .conditioners import ConvLayer, normalizations, require_image
from .core import Conditioner, run
from .elementwise import Activation, Relu
from .tree import parameter

_MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


class Chain(Conditioner):
    """y = g_k(... g₂(g₁(x))); a context goes to those that use it."""

    _transparent = ()

    def __init__(self, layers: Iterable[Conditioner]) -> None:
        super().__init__()
        self._modules.update({str(i): layer for i, layer in enumerate(layers)})

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        for layer in self._modules.values():
            x = run(layer, x, context)
        return x


class SkipConnection(Conditioner):
    """y = x + f(x), or [x, f(x)] with zeros behind an f(x) of less resolution."""

    def __init__(self, inner: Conditioner, join: str) -> None:
        super().__init__()
        if join not in ("add", "concat"):
            raise ArgumentError(f"join is {join!r}, which is not known")
        self.inner, self.join = inner, join

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        inside = run(self.inner, x, context)
        if self.join == "add":
            return x + inside
        missing = [a - b for a, b in zip(x.shape[2:], inside.shape[2:], strict=True)]
        padding = [n for missed in reversed(missing) for n in (0, missed)]
        return torch.cat([x, functional.pad(inside, padding)], 1)


class ActivationLayer(Conditioner):
    """y = f(x), element by element."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def _value(self, x: Tensor, context: Any) -> Tensor:
        return self.activation(x)


class Dense(Conditioner):
    """y = W x + b on vectors [N, C]."""

    def __init__(self, in_channels: int, out_channels: int, gain: float = 1) -> None:
        super().__init__()
        self.w, self.b = parameter(out_channels, in_channels), parameter(out_channels)

    def _value(self, x: Tensor, context: Any) -> Tensor:
        return functional.linear(x, self.w, self.b)


class Conv(Conditioner):
    """y = w ∗ x + b, padded so that a stride of 1 keeps the resolution."""

    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | None = None,
        stride: int | None = None,
        ndims: int = 2,
        gain: float = 1,
    ) -> None:
        super().__init__()
        self.channels, self.ndims = in_channels, ndims
        step = (2 if self.transposed else 1) if stride is None else stride
        size = (step if self.transposed else 3) if kernel is None else kernel
        self.inner = ConvLayer(in_channels, out_channels, ndims, size, step, self.transposed)

    def _value(self, x: Tensor, context: Any) -> Tensor:
        require_image(self, x, self.channels, self.ndims)
        return self.inner(x)


class ConvTranspose(Conv):
    """y = wᵀ ∗ x + b, whose resolution is ``stride`` times as high."""

    transposed = True


class MaxPool(Conditioner):
    """The largest number of each window of ``factor`` neighbours along every spatial axis."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor

    def _value(self, x: Tensor, context: Any) -> Tensor:
        return _MAX_POOL[_axes(self, x)](x, self.factor)


class AveragePool(Conditioner):
    """The mean of each window of ``factor`` neighbours along every spatial axis."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor

    def _value(self, x: Tensor, context: Any) -> Tensor:
        return _AVERAGE_POOL[_axes(self, x)](x, self.factor)


class GlobalAveragePool(Conditioner):
    """The mean over all positions, [N, C, ...] to [N, C]."""

    def _value(self, x: Tensor, context: Any) -> Tensor:
        _axes(self, x)
        return x.flatten(2).mean(2)


class Upsample(Conditioner):
    """Each number ``factor`` times along every spatial axis."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor

    def _value(self, x: Tensor, context: Any) -> Tensor:
        for axis in range(_axes(self, x)):
            x = x.repeat_interleave(self.factor, axis + 2)
        return x


class UNet(Conditioner):
    """Two convolutions on each level around the one below, on half of the resolution."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden: int = 32,
        levels: int = 2,
        ndims: int = 2,
        kernel: int = 3,
        activation: Activation | None = None,
        normalization: str = "none",
        down: str = "max",
        up: str = "transposed",
    ) -> None:
        super().__init__()
        if down not in ("max", "average", "conv") or up not in ("transposed", "nearest"):
            raise ArgumentError(f"down is {down!r} and up {up!r}, which are not known")
        self.channels, self.ndims = in_channels, ndims
        f = Relu() if activation is None else activation

        def twice(given: int, width: int) -> list[Conditioner]:
            return [
                layer
                for channels in (given, width)
                for layer in (
                    Conv(channels, width, kernel, 1, ndims),
                    *normalizations(normalization, width),
                    ActivationLayer(f),
                )
            ]

        def level(depth: int, given: int) -> Chain:
            width = hidden * 2**depth
            enter = twice(given, width)
            if depth == levels:
                return Chain(enter)
            downs = {"max": MaxPool, "average": AveragePool}
            lower = downs[down]() if down in downs else Conv(width, width, 2, 2, ndims)
            below = level(depth + 1, width)
            if up == "transposed":
                upper: list[Conditioner] = [ConvTranspose(2 * width, width, ndims=ndims)]
            else:
                upper = [Upsample(), Conv(2 * width, width, kernel, 1, ndims)]
            inside = SkipConnection(Chain([lower, below, *upper]), "concat")
            return Chain([*enter, inside, *twice(2 * width, width)])

        self.inner = Chain([level(0, in_channels), Conv(hidden, out_channels, 1, 1, ndims)])

    def _value(self, x: Tensor, context: Any) -> Tensor:
        require_image(self, x, self.channels, self.ndims)
        return self.inner(x)


def _axes(module: Conditioner, x: Tensor) -> int:
    """How many spatial axes there are. Raises unless that is one to three."""
    if 3 <= x.dim() <= 5:
        return x.dim() - 2
    raise ShapeError(
        f"{type(module).__name__}: got {list(x.shape)}; expected [N, C, ...] with one to three "
        "spatial axes."
    )
