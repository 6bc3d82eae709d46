"""Layers of numbers of their own: slopes that are trained, angles, and numbers within bounds."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError
from .core import (
    Bijection,
    along_channels,
    log_sigmoid_slope,
    per_sample,
    require_channels,
    softplus,
)
from .elementwise import Elementwise, InvertibleActivation, Softplus
from .tree import parameter


class LearnedSlopes(Bijection):
    """y = exp(α) x for x > 0 and exp(β) x otherwise, per channel; β is −α without ``below``."""

    def __init__(
        self, channels: int, above: float = 2, below: float | None = None, frozen: bool = False
    ) -> None:
        super().__init__()
        self.channels = channels
        self.above = parameter(channels)
        self.below = None if below is None else parameter(channels)

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        slope = self._log_slope(x)
        return x * slope.exp(), per_sample(slope)

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        slope = self._log_slope(y)
        return y * torch.exp(-slope), -per_sample(slope)

    def _log_slope(self, x: Tensor) -> Tensor:
        require_channels(self, x, self.channels)
        below = -self.above if self.below is None else self.below
        return torch.where(x > 0, along_channels(self.above, x), along_channels(below, x))


class CircularShift(Bijection):
    """y = x + b less whole turns, from −bound to bound, in channels that are angles; logdet = 0."""

    def __init__(
        self,
        channels: int,
        circular: list[int] | None = None,
        bound: float = math.pi,
        shift: float = 0,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.turn = channels, 2 * bound
        self.circular = list(range(channels)) if circular is None else circular
        self.shift = parameter(len(self.circular))

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, None]:
        return self._shifted(x, self.shift), None

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, None]:
        return self._shifted(y, -self.shift), None

    def _shifted(self, x: Tensor, shift: Tensor) -> Tensor:
        require_channels(self, x, self.channels)
        angles = x[:, self.circular] + along_channels(shift, x)
        angles = angles - torch.round(angles / self.turn) * self.turn
        at = torch.tensor(self.circular, device=x.device)
        return x.index_copy(1, at, angles)


class Box(Bijection):
    """y = low + (high − low)·σ(x), with bounds for each channel; logdet = Σ log (high − low)σ′(x).

    The inverse of what was rounded to a bound is finite; that of what is beyond is NaN.
    """

    def __init__(self, low: list[float], high: list[float]) -> None:
        super().__init__()
        if len(low) != len(high) or not all(a < b for a, b in zip(low, high, strict=True)):
            raise ArgumentError("expected a lower and an upper bound for each channel")
        self.low, self.high = low, high

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        low, high = self._bounds(x)
        return low + (high - low) * torch.sigmoid(x), self._logdet(x)

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        low, high = self._bounds(y)
        x = _above_zero(y - low).log() - _above_zero(high - y).log()
        return x, -self._logdet(x)

    def _bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        require_channels(self, x, len(self.low))
        low, high = (along_channels(x.new_tensor(bounds), x) for bounds in (self.low, self.high))
        return low, high

    def _logdet(self, x: Tensor) -> Tensor:
        low, high = self._bounds(x)
        return per_sample(log_sigmoid_slope(x) + (high - low).log())


class Ordered(Bijection):
    """y₁ = x₁ and y_c = y_(c−1) + f(x_c), so that the channels increase; logdet = Σ log f′.

    The inverse of a gap that was rounded to zero is finite; that of one below zero is NaN.
    """

    def __init__(self, channels: int, gap: InvertibleActivation | None = None) -> None:
        super().__init__()
        self.channels = channels
        self.gaps = Elementwise(Softplus() if gap is None else gap)

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        require_channels(self, x, self.channels)
        gaps, logdet = self.gaps(x[:, 1:])
        return torch.cat([x[:, :1], gaps], 1).cumsum(1), logdet

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        require_channels(self, y, self.channels)
        free, logdet = self.gaps.inverse(_above_zero(y.diff(dim=1)))
        return torch.cat([y[:, :1], free], 1), logdet


class StickBreaking(Bijection):
    """y_c = σ(x_c − log(C + 1 − c))·(1 − y₁ − ... − y_(c−1)): C of C + 1 shares, above zero.

    The inverse of shares that were rounded to zero is finite; that of what are no shares is NaN.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        u = x - self._left(x).log()
        before = softplus(u).cumsum(1) - softplus(u)
        return torch.exp(-(softplus(-u) + before)), self._logdet(u)

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        digits = torch.finfo(y.dtype).eps
        rest = 1 - y.cumsum(1)
        # A sum may be above 1 by its rounding.
        beyond = rest < -2 * digits * self.channels
        rest = rest.clamp(min=digits / 4).masked_fill(beyond, math.nan)
        u = _above_zero(y).log() - rest.log()
        return u + self._left(y).log(), -self._logdet(u)

    def _left(self, x: Tensor) -> Tensor:
        """C + 1 − c, how many shares there still are."""
        require_channels(self, x, self.channels)
        return along_channels(torch.arange(self.channels, 0, -1).to(x), x)

    def _logdet(self, u: Tensor) -> Tensor:
        return -per_sample(softplus(-u) + self._left(u) * softplus(u))


def _above_zero(x: Tensor) -> Tensor:
    """x, but a number above zero where it was rounded to zero; NaN where it is below."""
    least = 2.0**-1000 if x.dtype == torch.float64 else 2.0**-120
    return x.clamp(min=least).masked_fill(x < 0, math.nan)
