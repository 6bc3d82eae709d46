"""The blocks inside of couplings, which need not be invertible."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ArgumentError, ShapeError
from .core import Bijection, Conditioner, along_channels, require_channels, run
from .custom import as_conditioner
from .elementwise import Activation, Relu
from .linear import ActNorm
from .tree import Module, parameter

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_CONV_TRANSPOSE = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


class DenseBlock(Conditioner):
    """y = W₃ f(W₂ f(W₁ x + b₁) + b₂) + b₃ on vectors [N, C]."""

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.activation = Relu() if activation is None else activation
        self.w1, self.b1 = parameter(hidden, in_channels), parameter(hidden)
        self.w2, self.b2 = parameter(hidden, hidden), parameter(hidden)
        self.w3, self.b3 = parameter(out_channels, hidden), parameter(out_channels)

    def _value(self, x: Tensor, context: Any) -> Tensor:
        h = self.activation(functional.linear(x, self.w1, self.b1))
        h = self.activation(functional.linear(h, self.w2, self.b2))
        return functional.linear(h, self.w3, self.b3)


class ResidualBlock(Conditioner):
    """y = out(w₃ ∗ f(w₂ ∗ f(w₁ ∗ x + b₁) + b₂) + b₃), keeping the resolution."""

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
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.activation = Relu() if activation is None else activation
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
        require_image(self, x, self.channels, self.ndims)
        outer = {"stride": self.stride, "padding": self.padding}
        h = self.activation(_CONV[self.ndims](x, self.w1, self.b1, **outer))
        inner = {"padding": _padding(self.w2.shape[2])}
        h = self.activation(_CONV[self.ndims](h, self.w2, self.b2, **inner))
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


class LayerNorm(Conditioner):
    """y = s ⊙ (x − μ)/√(v + ε) + b with mean and variance over the channels at each position."""

    def __init__(self, channels: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.scale, self.shift = parameter(channels), parameter(channels)

    def _value(self, x: Tensor, context: Any) -> Tensor:
        require_channels(self, x, len(self.scale))
        variance, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
        normalized = (x - mean) / (variance + self.epsilon).sqrt()
        return normalized * along_channels(self.scale, x) + along_channels(self.shift, x)


class ConvLayer(Module):
    """y = w ∗ x + b, or its transposed form, padded so that a stride of 1 keeps the resolution."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ndims: int,
        kernel: int,
        stride: int = 1,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        channels = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.stride, self.transposed = stride, transposed
        self.w = parameter(*channels, *[kernel] * ndims)
        self.b = parameter(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        outer = {"stride": self.stride, "padding": _padding(self.w.shape[2], self.stride)}
        if self.transposed:
            size = torch.Size(s * self.stride for s in x.shape[2:])
            return _transposed(x, self.w, self.b, size, **outer)
        return _CONV[x.dim() - 2](x, self.w, self.b, **outer)


class ResNet(Conditioner):
    """h₀ = w ∗ x + b, hₖ = hₖ₋₁ + U(U(hₖ₋₁)), y = U(h) with U(h) = w ∗ f(norm(h)) + b."""

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        blocks: int = 2,
        ndims: int = 2,
        kernel: int = 3,
        activation: Activation | None = None,
        normalization: str = "batch",
    ) -> None:
        super().__init__()
        self.channels, self.ndims = in_channels, ndims
        self.activation = Relu() if activation is None else activation

        def unit(out: int) -> nn.ModuleDict:
            norms = [("norm", norm) for norm in normalizations(normalization, hidden)]
            return nn.ModuleDict([*norms, ("conv", ConvLayer(hidden, out, ndims, kernel))])

        self.lift = ConvLayer(in_channels, hidden, ndims, kernel)
        pairs = [nn.ModuleList([unit(hidden), unit(hidden)]) for _ in range(blocks)]
        self.blocks: Any = nn.ModuleList(pairs)
        self.last = unit(out_channels)

    def _value(self, x: Tensor, context: Any) -> Tensor:
        require_image(self, x, self.channels, self.ndims)
        h = self.lift(x)
        for first, second in self.blocks:
            h = h + self._unit(second, self._unit(first, h))
        return self._unit(self.last, h)

    def _unit(self, unit: Any, h: Tensor) -> Tensor:
        normalized = unit["norm"](h) if "norm" in unit else h
        return unit["conv"](self.activation(normalized))


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
        require_image(self, x, self.channels, self.ndims)
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


class PeriodicFeatures(Conditioner):
    """(sin πx_A/b, cos πx_A/b, x_B) for the channels A that are angles and the others B."""

    def __init__(
        self, channels: int, circular: list[int] | None = None, bound: float = math.pi
    ) -> None:
        super().__init__()
        self.channels, self.rate = channels, math.pi / bound
        self.circular = list(range(channels)) if circular is None else circular
        self.others = [c for c in range(channels) if c not in self.circular]

    def _value(self, x: Tensor, context: Any) -> Tensor:
        require_channels(self, x, self.channels)
        angles = x[:, self.circular] * self.rate
        return torch.cat([angles.sin(), angles.cos(), x[:, self.others]], 1)


class ScaledConditioner(Conditioner):
    """factor·g(x), with a factor that is not trained."""

    def __init__(self, inner: Conditioner, factor: float) -> None:
        super().__init__()
        self.inner, self.factor = inner, factor

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self.factor * run(self.inner, x, context)


class JoinedConditioners(Conditioner):
    """g(x) = [g₁(x), g₂(x), ...], joined along channels; a context goes to those that use it."""

    _transparent = ()

    def __init__(self, parts: dict[str, Conditioner]) -> None:
        super().__init__()
        if not parts:
            raise ArgumentError("parts is empty; expected at least one conditioner")
        # Not by attribute: a part may be called as something that torch's modules have.
        self._modules.update(parts)

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        return torch.cat([run(g, x, context) for g in self._modules.values()], 1)


def normalizations(name: str, channels: int) -> list[Conditioner]:
    """The normalization of a name, none for ``none``."""
    if name == "none":
        return []
    if name == "batch":
        return [BatchNorm(channels)]
    if name == "layer":
        return [LayerNorm(channels)]
    if name == "actnorm":
        return [AsConditioner(ActNorm(channels))]
    raise ArgumentError(f"normalization is {name!r}, which is not known")


ConditionerFactory = Callable[[int, int, int, int], Any]
"""Makes a conditioner of channels in and out, spatial axes, and channels of a context."""


def supplied(given: Any) -> ConditionerFactory | None:
    """What makes a network's conditioners: a function of a name, or all of them in their order."""
    if not isinstance(given, list):
        return given
    left = iter(given)

    def make(*shape: int) -> Any:
        made = next(left, None)
        if made is None:
            raise ArgumentError(f"there are {len(given)} conditioners; expected one for each")
        return made

    return make


def made_conditioner(
    given: Any,
    in_channels: int,
    out_channels: int,
    ndims: int,
    context_channels: int = 0,
    hidden: int = 64,
) -> Conditioner:
    """A coupling's conditioner: the given one, what the given function makes, or the default."""
    if isinstance(given, Conditioner):
        return given
    if given is not None:
        return as_conditioner(given(in_channels, out_channels, ndims, context_channels))
    sizes = (in_channels + context_channels, hidden, out_channels)
    inner = DenseBlock(*sizes) if ndims == 0 else ResidualBlock(*sizes, ndims=ndims)
    return WithContext(inner, context_channels) if context_channels else inner


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


def require_image(module: Module, x: Tensor, channels: int, ndims: int) -> None:
    require_channels(module, x, channels)
    if x.dim() != ndims + 2:
        raise ShapeError(
            f"{type(module).__name__}: got {list(x.shape)} with {x.dim() - 2} spatial axes; "
            f"expected {ndims}."
        )
