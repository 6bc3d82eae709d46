"""Splines as transformers: a number's bin is found by its edges, and the piece evaluated there.

Numbers are clamped to the interval before, so that those far outside have finite values and
gradients.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ArgumentError
from .core import per_sample, softplus
from .transformers import Moved, Transformer


class Spline(Transformer):
    """An increasing map of an interval onto itself, in pieces, and a straight line beyond.

    ``bound`` is B of [−B, B], or the interval. With ``linear`` tails the line has the slope of the
    piece that it adjoins, else 1.
    """

    def __init__(self, bins: int = 8, bound: Any = 3, tails: str = "identity") -> None:
        super().__init__()
        if type(bins) is not int or bins < 2:
            raise ArgumentError(f"bins is {bins!r}; expected a whole number of at least 2")
        if tails not in self._known_tails:
            raise ArgumentError(f"tails is {tails!r}, which is not known")
        self.bins, self.tails = bins, tails
        self.low, self.high = bound if isinstance(bound, list | tuple) else (-bound, bound)
        if not self.low < self.high:
            raise ArgumentError(f"bound is {bound!r}; expected a number above 0, or an interval")

    _known_tails: tuple[str, ...] = ("identity", "linear")

    def forward(self, x: Tensor, p: Tensor) -> Moved:
        u, inside, bins = self._located(x, p, 0)
        y, log_slope = self._piece(bins, u)
        beyond = x.reshape(inside.shape) - u
        if self.tails == "linear":
            return (y + log_slope.exp() * beyond).reshape(x.shape), per_sample(log_slope)
        return (y + beyond).reshape(x.shape), per_sample(inside * log_slope)

    def inverse(self, y: Tensor, p: Tensor) -> Moved:
        u, inside, bins = self._located(y, p, 2)
        x = self._solve(bins, u)
        _, log_slope = self._piece(bins, x)
        beyond = y.reshape(inside.shape) - u
        if self.tails == "linear":
            return (x + beyond * torch.exp(-log_slope)).reshape(y.shape), -per_sample(log_slope)
        return (x + beyond).reshape(y.shape), -per_sample(inside * log_slope)

    def _bins(self, p: Tensor) -> list[Tensor]:
        """Of all bins [N, K, M]: left edges and widths along x, left edges along y, and more."""
        raise NotImplementedError

    def _piece(self, values: list[Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        """y of x in its bin, and the logarithm of the slope."""
        raise NotImplementedError

    def _solve(self, values: list[Tensor], y: Tensor) -> Tensor:
        """x of y in its bin."""
        raise NotImplementedError

    def _located(self, u: Tensor, p: Tensor, axis: int) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Numbers [N, 1, M] within the interval, which were inside of it, and their bins."""
        flat = u.reshape(len(u), 1, -1)
        bins = self._bins(p.reshape(len(u), self.size, -1))
        clamped = flat.clamp(self.low, self.high)
        at = (bins[axis] <= clamped).sum(1, keepdim=True).clamp(1, self.bins) - 1
        inside = ((flat >= self.low) & (flat <= self.high)).to(u.dtype)
        return clamped, inside, [v.gather(1, at) for v in bins]

    def _partition(self, u: Tensor, least: float) -> tuple[Tensor, Tensor]:
        """Left edges and widths of bins that make up the interval."""
        reach = self.high - self.low
        widths = reach * (least + (1 - self.bins * least) * torch.softmax(u, 1))
        return self._edges(widths), widths

    def _edges(self, sizes: Tensor) -> Tensor:
        return self.low + functional.pad(sizes.cumsum(1), (0, 0, 1, 0))[:, :-1]


class LinearSpline(Spline):
    """A straight line in each of K bins of equal widths, with heights by a softmax."""

    def __init__(self, min_height: float = 1e-3, **options: Any) -> None:
        super().__init__(**options)
        self.min_height = _least("minHeight", min_height, self.bins)

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.bins

    def _bins(self, p: Tensor) -> list[Tensor]:
        y, heights = self._partition(p, self.min_height)
        widths = torch.full_like(heights, (self.high - self.low) / self.bins)
        lefts = torch.arange(self.bins, dtype=p.dtype, device=p.device).reshape(1, -1, 1)
        return [(self.low + lefts * widths), widths, y, heights]

    def _piece(self, values: list[Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        x0, w, y0, h = values
        return y0 + h / w * (x - x0), h.log() - w.log()

    def _solve(self, values: list[Tensor], y: Tensor) -> Tensor:
        x0, w, y0, h = values
        return x0 + w / h * (y - y0)


class QuadraticSpline(Spline):
    """A parabola in each of K bins, with widths by a softmax and normalized slopes at their edges.

    A number has K widths, then slopes at the edges from the left: K − 1 inner ones with
    ``identity`` tails, and K + 1 with ``linear``.
    """

    def __init__(self, min_width: float = 1e-3, min_slope: float = 1e-3, **options: Any) -> None:
        super().__init__(**options)
        self.min_width = _least("minWidth", min_width, self.bins)
        self.min_slope = min_slope

    @property
    def size(self) -> int:  # type: ignore[override]
        return 2 * self.bins + (1 if self.tails == "linear" else -1)

    def _bins(self, p: Tensor) -> list[Tensor]:
        x, widths = self._partition(p[:, : self.bins], self.min_width)
        slopes = self._slopes(p[:, self.bins :], widths)
        left, right = slopes[:, :-1], slopes[:, 1:]
        return [x, widths, self._edges(widths * (left + right) / 2), left, right]

    def _slopes(self, p: Tensor, widths: Tensor) -> Tensor:
        """Slopes at all edges, of which the mean over the interval is 1."""
        reach = self.high - self.low
        g = softplus(p) + 1e-3
        left: Any = 1
        if self.tails != "linear":
            g = functional.pad(g, (0, 0, 1, 1))
            # Slopes of 1 at the ends have their share of the mean.
            left = 1 - (widths[:, :1] + widths[:, -1:]) / (2 * reach)
        means = (g[:, :-1] + g[:, 1:]) / (2 * reach)
        c = (widths * means).sum(1, keepdim=True) / left
        slopes = g / c * (1 - self.min_slope) + self.min_slope
        return slopes if self.tails == "linear" else _ended(slopes[:, 1:-1])

    def _piece(self, values: list[Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        x0, w, y0, left, right = values
        t = x - x0
        slope = left + (right - left) / w * t
        return y0 + t * (left + slope) / 2, slope.log()

    def _solve(self, values: list[Tensor], y: Tensor) -> Tensor:
        x0, w, y0, left, right = values
        zeta = 2 * (y - y0)
        # What stands below the root is the slope's square, and not negative but for rounding.
        root = torch.relu(left**2 + (right - left) / w * zeta).sqrt()
        return x0 + zeta / (left + root)


class RationalQuadraticSpline(Spline):
    """Quotients of quadratic polynomials, once continuously differentiable.

    A number has K widths, then K heights, then slopes at the edges from the left: K − 1 inner ones
    with ``identity`` tails, K with ``circular``, the first for both ends, K + 1 with ``linear``.
    ``soft_clamp`` λ takes widths and heights of u/(1 + 2|u|/λ), and slopes by exponentials of
    u/(1 + |u|/λ) in place of a softplus.
    """

    _known_tails = ("identity", "linear", "circular")

    def __init__(
        self,
        min_width: float = 1e-3,
        min_height: float = 1e-3,
        min_slope: float = 1e-3,
        soft_clamp: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.min_width = _least("minWidth", min_width, self.bins)
        self.min_height = _least("minHeight", min_height, self.bins)
        self.min_slope, self.soft_clamp = min_slope, soft_clamp

    @property
    def size(self) -> int:  # type: ignore[override]
        return 3 * self.bins + {"identity": -1, "circular": 0, "linear": 1}[self.tails]

    def _bins(self, p: Tensor) -> list[Tensor]:
        widths, heights, slopes = p.tensor_split((self.bins, 2 * self.bins), 1)
        x, w = self._partition(self._clamped(widths, 2), self.min_width)
        y, h = self._partition(self._clamped(heights, 2), self.min_height)
        edges = self._slopes(slopes)
        return [x, w, y, h, edges[:, :-1], edges[:, 1:]]

    def _slopes(self, p: Tensor) -> Tensor:
        room = 1 - self.min_slope
        if self.soft_clamp is None:
            # The softplus of this is what is missing to a slope of 1.
            inner = softplus(p + math.log(math.expm1(room))) + self.min_slope
        else:
            inner = room * self._clamped(p, 1).exp() + self.min_slope
        if self.tails == "linear":
            return inner
        return _ended(inner) if self.tails == "identity" else torch.cat([inner, inner[:, :1]], 1)

    def _clamped(self, u: Tensor, strength: float) -> Tensor:
        return u if self.soft_clamp is None else u / (1 + strength / self.soft_clamp * u.abs())

    def _piece(self, values: list[Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        x0, w, y0, h, a, b = values
        # Beyond 1 by rounding slopes may be negative, where neighbours differ much.
        delta, theta = h / w, ((x - x0) / w).clamp(max=1)
        rest = 1 - theta
        u = theta * rest
        bottom = delta + (a + b - 2 * delta) * u
        steepness = b * theta**2 + a * rest**2 + 2 * delta * u
        y = y0 + h * (delta * theta**2 + a * u) / bottom
        return y, steepness.log() + 2 * (delta.log() - bottom.log())

    def _solve(self, values: list[Tensor], y: Tensor) -> Tensor:
        x0, w, y0, h, a, b = values
        delta, zeta = h / w, y - y0
        bent = zeta * (a + b - 2 * delta)
        first, half = bent + h * (delta - a), h * a - bent
        constant = delta * zeta
        # The discriminant is not negative but for rounding.
        root = torch.relu(half**2 + 4 * first * constant).sqrt()
        return x0 + w * (2 * constant / (half + root)).clamp(max=1)


def _ended(inner: Tensor) -> Tensor:
    """Slopes at all edges, which are 1 at the ends."""
    return functional.pad(inner, (0, 0, 1, 1), value=1)


def _least(name: str, least: float, bins: int) -> float:
    if 0 <= least and bins * least < 1:
        return least
    raise ArgumentError(f"{name} is {least!r}; expected a share that {bins} bins have room for")
