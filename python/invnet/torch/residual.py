"""Residual, planar, radial and Sylvester flows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ArgumentError
from .combinators import Composite, Reversed, Sequential
from .core import Bijection, per_sample, require_channels, require_shape, softplus
from .derivatives import jacobian, pullback
from .fixed_point import fixed_point
from .tree import Module, parameter

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


class SpectralLayer(Module):
    """w̃ h + b with w̃ = w/max(1, ‖w v‖/c), v the ``direction``, which stays as it is here."""

    direction: Tensor

    def __init__(self, shape: tuple[int, ...], domain: tuple[int, ...], coefficient: float) -> None:
        super().__init__()
        self.coefficient = coefficient
        self.w, self.b = parameter(*shape), parameter(shape[0])
        self.register_buffer("direction", torch.empty(1, *domain, device="meta"))

    def forward(self, h: Tensor) -> Tensor:
        norm = self._product(self.direction, self.w).square().sum().sqrt()
        return self._product(h, self.w / (norm / self.coefficient).clamp(min=1), self.b)

    def _product(self, h: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        raise NotImplementedError


class SpectralDense(SpectralLayer):
    """A dense layer whose largest singular value is at most ``coefficient``."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        coefficient: float = 0.9,
        iterations: int = 5,
        gain: float = 1,
    ) -> None:
        super().__init__((out_channels, in_channels), (in_channels,), coefficient)

    def _product(self, h: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        return functional.linear(h, w, b)


class SpectralConv(SpectralLayer):
    """A convolution of images of one size whose operator norm is at most ``coefficient``."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: list[int],
        kernel: int = 3,
        coefficient: float = 0.9,
        iterations: int = 5,
        gain: float = 1,
    ) -> None:
        shape = (out_channels, in_channels, *[kernel] * len(size))
        super().__init__(shape, (in_channels, *size), coefficient)
        self.kernel = kernel

    def _product(self, h: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        require_shape(self, "a sample", h[:1], tuple(self.direction.shape))
        return _CONV[h.dim() - 2](h, w, b, padding=(self.kernel - 1) // 2)


class LipSwish(Module):
    """h·σ(βh)/1.1 with β = softplus(``beta``)."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = parameter(1)

    def forward(self, h: Tensor) -> Tensor:
        return h * torch.sigmoid(h * softplus(self.beta)) / 1.1


class LipschitzActivation(Module):
    """ELU or tanh, element by element."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        if activation not in ("elu", "tanh"):
            raise ArgumentError(f"activation is {activation!r}, which is not known")
        self.activation = activation

    def forward(self, h: Tensor) -> Tensor:
        return functional.elu(h) if self.activation == "elu" else torch.tanh(h)


class LipschitzBlock(Module):
    """g(x) = gₖ(... g₁(x)), of a Lipschitz constant below 1."""

    _transparent = ()

    def __init__(self, layers: Iterable[Module]) -> None:
        super().__init__()
        self._modules.update({str(i): layer for i, layer in enumerate(layers)})

    def forward(self, x: Tensor) -> Tensor:
        for layer in self._modules.values():
            x = layer(x)  # type: ignore[misc]
        return x


class InvertibleResidual(Bijection):
    """y = x + g(x); logdet = log det(I + ∂g/∂x) of the whole Jacobian of each sample.

    The inverse is the fixed point of x = y − g(x). Estimates of the log-determinant are left out.
    """

    def __init__(
        self,
        block: LipschitzBlock,
        logdet: str = "exact",
        tolerance: float | None = None,
        max_iterations: int = 1000,
        **estimate: Any,
    ) -> None:
        super().__init__()
        if logdet != "exact":
            raise ArgumentError(
                f"logdet is {logdet!r}, and estimates are not in the Python package yet; expected "
                "'exact'"
            )
        self.block = block
        self.tolerance, self.max_iterations = tolerance, max_iterations

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        moved, pull = pullback(self.block, x)
        slopes = jacobian(pull, x)
        unit = torch.eye(slopes.shape[-1], dtype=x.dtype, device=x.device)
        return x + moved, torch.linalg.slogdet(slopes + unit).logabsdet

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        search = (self.max_iterations, self.tolerance)
        x = fixed_point("InvertibleResidual", lambda x: y - self.block(x), y, *search)
        return x, -self._map(x, context)[1]


class Planar(Bijection):
    """y = x + û·h(⟨w, x⟩ + b) with û = u + (softplus(−⟨w, u⟩) − 1)·w/‖w‖²."""

    def __init__(
        self, channels: int, size: list[int] | None = None, activation: str = "tanh"
    ) -> None:
        super().__init__()
        if activation not in ("tanh", "leakyRelu"):
            raise ArgumentError(f"activation is {activation!r}, which is not known")
        self.smooth = activation == "tanh"
        shape = (channels, *(size or ()))
        self.u, self.w, self.b = parameter(*shape), parameter(*shape), parameter(1)

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        u, rise = self._direction()
        a = self._along(x)
        h = torch.tanh(a) if self.smooth else functional.leaky_relu(a, _LEAK)
        return x + _per_sample(h, x) * u, _determinant(rise, self._slope(a)).log()

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        u, rise = self._direction()
        c = self._along(y)
        # The sign of a is that of c where pieces are straight.
        a = _tanh_root(rise, c) if self.smooth else c / _determinant(rise, self._slope(c))
        h = torch.tanh(a) if self.smooth else functional.leaky_relu(a, _LEAK)
        return y - _per_sample(h, y) * u, -_determinant(rise, self._slope(a)).log()

    def _along(self, x: Tensor) -> Tensor:
        require_shape(self, "a sample", x[:1], (1, *self.w.shape))
        return per_sample(x * self.w) + self.b

    def _direction(self) -> tuple[Tensor, Tensor]:
        """û, and 1 + ⟨w, û⟩."""
        product = (self.u * self.w).sum()
        shift = (softplus(-product) - 1) / self.w.square().sum()
        return self.u + shift * self.w, softplus(product)

    def _slope(self, a: Tensor) -> Tensor:
        if self.smooth:
            return 1 - torch.tanh(a) ** 2
        return torch.where(a > 0, torch.ones_like(a), torch.full_like(a, _LEAK))


class Radial(Bijection):
    """y = x + β̂/(|α| + r)·(x − center) with r = |x − center| and β̂ = softplus(β) − |α|."""

    def __init__(self, channels: int, size: list[int] | None = None) -> None:
        super().__init__()
        self.beta, self.alpha = parameter(1), parameter(1)
        self.center = parameter(channels, *(size or ()))

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        away, r, alpha, beta = self._polar(x)
        return x + _per_sample(beta / (alpha + r), x) * away, self._logdet(r, alpha, beta)

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        away, distance, alpha, beta = self._polar(y)
        # r² + q r − |α|·distance = 0, without a difference of large numbers.
        q = alpha + beta - distance
        large = (q.abs() + (q.square() + 4 * alpha * distance).sqrt()) / 2
        small = alpha * distance / large.clamp(min=_LEAST)
        r = torch.where(q > 0, small, large)
        x = self.center + _per_sample((alpha + r) / (alpha + r + beta), y) * away
        return x, -self._logdet(r, alpha, beta)

    def _polar(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        require_shape(self, "a sample", x[:1], (1, *self.center.shape))
        away = x - self.center
        alpha = self.alpha.abs()
        distance = per_sample(away.square()).sqrt().clamp(min=_LEAST)
        return away, distance, alpha, softplus(self.beta) - alpha

    def _logdet(self, r: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        g = 1 / (alpha + r)
        rest = self.center.numel() - 1
        return rest * (1 + beta * g).log() + (1 + alpha * beta * g * g).log()


class TriangularSylvester(Bijection):
    """z ↦ z + R·tanh(R̃ z + b) for the first channels z, with upper triangular R and R̃.

    Diagonals are tanh of their parameters; ``mixing`` holds R above its diagonal and the transpose
    of R̃ below it.
    """

    def __init__(self, channels: int, units: int | None = None) -> None:
        super().__init__()
        self.channels, self.units = channels, channels if units is None else units
        self.mixing = parameter(self.units, self.units)
        self.outerDiagonal, self.innerDiagonal = parameter(self.units), parameter(self.units)
        self.b = parameter(self.units)

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        outer, inner, rise = self._factors()
        z, rest = self._parted(x)
        h = torch.tanh(inner @ z + self.b.reshape(-1, 1))
        y = torch.cat([z + outer @ h, rest], 1).reshape(x.shape)
        return y, per_sample(_determinant(rise, 1 - h * h).log())

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        outer, inner, rise = self._factors()
        z, rest = self._parted(y)
        # z − outer·h and inner·u + b, as far as units are known, from the last one on.
        left, along = z, self.b.reshape(-1, 1).expand_as(z)
        found: list[Tensor] = []
        values: list[Tensor] = []
        for i in reversed(range(self.units)):
            own = left[:, i]
            h = torch.tanh(_tanh_root(rise[i, 0], inner[i, i] * own + along[:, i]))
            u = own - outer[i, i] * h
            left = left - outer[:, i].reshape(-1, 1) * h.unsqueeze(1)
            along = along + inner[:, i].reshape(-1, 1) * u.unsqueeze(1)
            found.insert(0, u)
            values.insert(0, h)
        x = torch.cat([torch.stack(found, 1), rest], 1).reshape(y.shape)
        return x, -per_sample(_determinant(rise, 1 - torch.stack(values, 1) ** 2).log())

    def _parted(self, x: Tensor) -> list[Tensor]:
        require_channels(self, x, self.channels)
        flat = x.reshape(*x.shape[:2], -1)
        return [flat[:, : self.units], flat[:, self.units :]]

    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        """R and R̃, and 1 + k for the products k of their diagonals."""
        outer, inner = torch.tanh(self.outerDiagonal), torch.tanh(self.innerDiagonal)
        above, below = self.mixing.triu(1), self.mixing.T.triu(1)
        rise = (1 + outer * inner).reshape(-1, 1)
        return above + torch.diag(outer), below + torch.diag(inner), rise


class Sylvester(Composite):
    """y = x + Q R·tanh(R̃ Qᵀx + b) with an orthogonal ``rotation`` Q."""

    def __init__(self, channels: int, rotation: Bijection, units: int | None = None) -> None:
        super().__init__()
        self.rotation = rotation
        self.triangular = TriangularSylvester(channels, units)

    @property
    def whole(self) -> Bijection:
        return Sequential([Reversed(self.rotation), self.triangular, self.rotation])


_LEAK = 0.2
"""The slope of the leaky rectifier below zero."""

_LEAST = 1e-30
"""Distances below it count as it, so that nothing is divided by zero."""


def _determinant(rise: Tensor, slope: Tensor) -> Tensor:
    """1 + k f′ = (1 − f′) + (1 + k) f′, which keeps its digits where k is near −1."""
    return (1 - slope) + rise * slope


def _tanh_root(rise: Tensor, c: Tensor) -> Tensor:
    """a with a + k·tanh(a) = c for ``rise`` = 1 + k > 0, which lies within |k| of c."""
    k = rise - 1
    a = c
    for i in range(1, 17):
        a = a - torch.sign(a + k * torch.tanh(a) - c) * k.abs() * 2.0**-i
    for _ in range(6):
        h = torch.tanh(a)
        a = a - (a + k * h - c) / _determinant(rise, 1 - h * h).clamp(min=_LEAST)
    return a


def _per_sample(v: Tensor, x: Tensor) -> Tensor:
    """A number per sample, to broadcast over x."""
    return v.reshape(-1, *[1] * (x.dim() - 1))
