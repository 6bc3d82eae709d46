"""The blocks inside of couplings, which need not be invertible."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ArgumentError, ShapeError
from .core import Bijection, Conditioner, along_channels, require_channels
from .tree import Module, parameter

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_CONV_TRANSPOSE = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


class DenseBlock(Conditioner):
    """y = W₃ relu(W₂ relu(W₁ x + b₁) + b₂) + b₃ on vectors [N, C]."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__()
        self.w1, self.b1 = parameter(hidden, in_channels), parameter(hidden)
        self.w2, self.b2 = parameter(hidden, hidden), parameter(hidden)
        self.w3, self.b3 = parameter(out_channels, hidden), parameter(out_channels)

    def _value(self, x: Tensor, context: Any) -> Tensor:
        h = torch.relu(functional.linear(x, self.w1, self.b1))
        h = torch.relu(functional.linear(h, self.w2, self.b2))
        return functional.linear(h, self.w3, self.b3)


class ResidualBlock(Conditioner):
    """y = f(w₃ ∗ relu(w₂ ∗ relu(w₁ ∗ x + b₁) + b₂) + b₃), keeping the resolution."""

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        ndims: int = 2,
        kernel1: int = 3,
        kernel2: int = 1,
        stride: int = 1,
        output_activation: str = "none",
    ) -> None:
        super().__init__()
        if output_activation not in ("none", "relu", "galu"):
            raise ArgumentError(f"outputActivation is {output_activation!r}, which is not known")
        self.channels, self.ndims, self.stride = in_channels, ndims, stride
        self.padding = _padding(kernel1, stride)
        self.output_activation = output_activation
        wide, narrow = [kernel1] * ndims, [kernel2] * ndims
        last = out_channels * (2 if output_activation == "galu" else 1)
        self.w1, self.b1 = parameter(hidden, in_channels, *wide), parameter(hidden)
        self.w2, self.b2 = parameter(hidden, hidden, *narrow), parameter(hidden)
        ends = (hidden, last) if stride > 1 else (last, hidden)
        self.w3, self.b3 = parameter(*ends, *wide), parameter(last)

    def _value(self, x: Tensor, context: Any) -> Tensor:
        _require_image(self, x, self.channels, self.ndims)
        outer = {"stride": self.stride, "padding": self.padding}
        h = torch.relu(_CONV[self.ndims](x, self.w1, self.b1, **outer))
        h = torch.relu(_CONV[self.ndims](h, self.w2, self.b2, padding=_padding(self.w2.shape[2])))
        if self.stride > 1:
            y = _transposed(h, self.w3, self.b3, x.shape[2:], **outer)
        else:
            y = _CONV[self.ndims](h, self.w3, self.b3, **outer)
        if self.output_activation == "relu":
            return torch.relu(y)
        return functional.glu(y, 1) if self.output_activation == "galu" else y


class ConditionalResidualBlock(Conditioner):
    """y = g([x, relu(W₀ d + b₀)]) with an image made of the context d, g a `ResidualBlock`."""

    uses_context = True

    def __init__(
        self,
        in_channels: int,
        context_size: int,
        size: list[int],
        context_channels: int | None = None,
        **block: Any,
    ) -> None:
        super().__init__()
        channels = in_channels if context_channels is None else context_channels
        self.image = [channels, *size]
        numbers = torch.Size(self.image).numel()
        self.w0, self.b0 = parameter(numbers, context_size), parameter(numbers)
        self.inner = ResidualBlock(in_channels=in_channels + channels, ndims=len(size), **block)

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        if context is None:
            raise ArgumentError("ConditionalResidualBlock: expected a context, got none.")
        image = torch.relu(functional.linear(context.flatten(1), self.w0, self.b0))
        return self.inner(torch.cat([x, image.reshape(len(x), *self.image)], 1))


class BatchNorm(Conditioner):
    """y = s ⊙ (x − μ)/√(v + ε) + b per channel.

    In training mode μ and v are the batch's, and the running ones move with each call, as those of
    torch's own; in evaluation mode they are the running ones.
    """

    runningMean: Tensor
    runningVariance: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.scale, self.shift = parameter(channels), parameter(channels)
        for name in ("runningMean", "runningVariance"):
            self.register_buffer(name, torch.empty(channels, device="meta"))

    def _value(self, x: Tensor, context: Any) -> Tensor:
        require_channels(self, x, len(self.scale))
        mean, variance = self.runningMean, self.runningVariance
        if self.training:
            axes = [i for i in range(x.dim()) if i != 1]
            variance, mean = torch.var_mean(x, axes, correction=0)
            self._move(mean, variance, x.numel() // len(mean))
        deviation = along_channels((variance + self.epsilon).sqrt(), x)
        normalized = (x - along_channels(mean, x)) / deviation
        return normalized * along_channels(self.scale, x) + along_channels(self.shift, x)

    @torch.no_grad()
    def _move(self, mean: Tensor, variance: Tensor, count: int) -> None:
        self.runningMean.lerp_(mean, self.momentum)
        # A single number has no unbiased variance.
        if count > 1:
            self.runningVariance.lerp_(variance * (count / (count - 1)), self.momentum)


class ConvLayer(Module):
    """y = w ∗ x + b, keeping the resolution: a part of `ResNet`."""

    def __init__(self, in_channels: int, out_channels: int, ndims: int, kernel: int) -> None:
        super().__init__()
        self.w = parameter(out_channels, in_channels, *[kernel] * ndims)
        self.b = parameter(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return _CONV[x.dim() - 2](x, self.w, self.b, padding=_padding(self.w.shape[2]))


class ResNet(Conditioner):
    """h₀ = w ∗ x + b, hₖ = hₖ₋₁ + U(U(hₖ₋₁)), y = U(h) with U(h) = w ∗ relu(norm(h)) + b."""

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        blocks: int = 2,
        ndims: int = 2,
        kernel: int = 3,
    ) -> None:
        super().__init__()
        self.channels, self.ndims = in_channels, ndims

        def unit(out: int) -> nn.ModuleDict:
            conv = ConvLayer(hidden, out, ndims, kernel)
            return nn.ModuleDict({"norm": BatchNorm(hidden), "conv": conv})

        self.lift = ConvLayer(in_channels, hidden, ndims, kernel)
        pairs = [nn.ModuleList([unit(hidden), unit(hidden)]) for _ in range(blocks)]
        self.blocks: Any = nn.ModuleList(pairs)
        self.last = unit(out_channels)

    def _value(self, x: Tensor, context: Any) -> Tensor:
        _require_image(self, x, self.channels, self.ndims)
        h = self.lift(x)
        for first, second in self.blocks:
            h = h + _unit(second, _unit(first, h))
        return _unit(self.last, h)


class SymmetricBlock(Conditioner):
    """g(x) = −Kᵀ relu(K x + b), with one convolution K and its adjoint."""

    def __init__(
        self, channels: int, hidden: int | None = None, ndims: int = 2, kernel: int = 3
    ) -> None:
        super().__init__()
        self.channels, self.ndims = channels, ndims
        width = channels if hidden is None else hidden
        self.w, self.b = parameter(width, channels, *[kernel] * ndims), parameter(width)

    def _value(self, x: Tensor, context: Any) -> Tensor:
        _require_image(self, x, self.channels, self.ndims)
        padding = _padding(self.w.shape[2])
        h = torch.relu(_CONV[self.ndims](x, self.w, self.b, padding=padding))
        return -_CONV_TRANSPOSE[self.ndims](h, self.w, padding=padding)


class WithContext(Conditioner):
    """g([x, context]), joined along the channels."""

    uses_context = True

    def __init__(self, inner: Conditioner, context_channels: int | None = None) -> None:
        super().__init__()
        self.inner = inner

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        if context is None:
            raise ArgumentError("conditioner: expected a context, got none.")
        return self.inner(torch.cat([x, context], 1))


class AsConditioner(Conditioner):
    """g(x) = f(x) for a bijection f, its log-determinant left aside."""

    uses_context = False

    def __init__(self, inner: Bijection) -> None:
        super().__init__()
        self.inner = inner

    def _value(self, x: Tensor, context: Any) -> Tensor:
        return self.inner(x)[0]


def default_conditioner(
    in_channels: int,
    out_channels: int,
    context_channels: int = 0,
    hidden: int = 64,
    ndims: int = 2,
) -> Conditioner:
    """What a coupling makes when it is given no conditioner."""
    sizes = (in_channels + context_channels, hidden, out_channels)
    inner = DenseBlock(*sizes) if ndims == 0 else ResidualBlock(*sizes, ndims=ndims)
    return WithContext(inner, context_channels) if context_channels else inner


def _unit(unit: nn.Module, h: Tensor) -> Tensor:
    return unit["conv"](torch.relu(unit["norm"](h)))  # type: ignore[index]


def _padding(kernel: int, stride: int = 1) -> int:
    return (max(0, kernel - stride) + 1) // 2


def _transposed(
    x: Tensor, w: Tensor, b: Tensor, size: torch.Size, stride: int, padding: int
) -> Tensor:
    """The adjoint of a convolution of images of a size, with a bias."""
    least = [
        (n - 1) * stride - 2 * padding + k for n, k in zip(x.shape[2:], w.shape[2:], strict=True)
    ]
    rest = [s - n for s, n in zip(size, least, strict=True)]
    convolve = _CONV_TRANSPOSE[len(size)]
    return convolve(x, w, b, stride=stride, padding=padding, output_padding=rest)


def _require_image(module: Module, x: Tensor, channels: int, ndims: int) -> None:
    require_channels(module, x, channels)
    if x.dim() != ndims + 2:
        raise ShapeError(
            f"{type(module).__name__}: got {list(x.shape)} with {x.dim() - 2} spatial axes; "
            f"expected {ndims}."
        )
