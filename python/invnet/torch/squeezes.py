"""Squeezes: orthogonal maps that halve every spatial axis, and double the channels for each."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib import resources
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError, ShapeError
from .core import Bijection, Shape


class Squeeze(Bijection):
    """[N, C, ...] to [N, 2ᵈC, .../2]; logdet = 0. Subclasses give the map and its transpose."""

    def _squeeze(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _unsqueeze(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, None]:
        return self._squeeze(x), None

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, None]:
        return self._unsqueeze(y), None

    def output_shape(self, x: Shape) -> Shape:
        n, channels, *sizes = x
        if not 1 <= len(sizes) <= 3 or any(s % 2 for s in sizes):
            raise ShapeError(
                f"squeeze: got {list(x)}; expected [N, C, ...], one to three even spatial sizes."
            )
        return (n, channels * 2 ** len(sizes), *(s // 2 for s in sizes))

    def input_shape(self, y: Shape) -> Shape:
        n, channels, *sizes = y
        if not 1 <= len(sizes) <= 3 or channels % 2 ** len(sizes):
            raise ShapeError(
                f"squeeze, inverse: got {list(y)}; expected [N, C, ...] with one to three spatial "
                "axes and channels that are a multiple of 2 for each."
            )
        return (n, channels // 2 ** len(sizes), *(2 * s for s in sizes))


class ShuffleSqueeze(Squeeze):
    """Moves numbers without changing them.

    ``checkerboard`` takes every second position along each axis, ``patch`` takes quadrants, and
    ``column`` cuts the row-major memory of each channel into equal runs. Position k of channel c
    becomes channel k·C + c by the order ``position``, and c·2ᵈ + k by ``channel``.
    """

    def __init__(self, pattern: str = "checkerboard", order: str | None = None) -> None:
        super().__init__()
        usual = "channel" if pattern == "column" else "position"
        self.pattern = pattern
        self.order = usual if order is None else order
        if pattern not in ("column", "patch", "checkerboard"):
            raise ArgumentError(f"pattern is {pattern!r}, which is not known")
        if self.order not in ("position", "channel"):
            raise ArgumentError(f"order is {order!r}, which is not known")

    def _squeeze(self, x: Tensor) -> Tensor:
        shape = self.output_shape(tuple(x.shape))
        wide, axes = self._axes(tuple(x.shape))
        return x.reshape(wide).permute(axes).reshape(shape)

    def _unsqueeze(self, y: Tensor) -> Tensor:
        shape = self.input_shape(tuple(y.shape))
        wide, axes = self._axes(shape)
        back = [axes.index(i) for i in range(len(axes))]
        return y.reshape([wide[i] for i in axes]).permute(back).reshape(shape)

    def _axes(self, shape: Shape) -> tuple[list[int], list[int]]:
        """The shape with its spatial axes cut, and the axes in the order of the result."""
        n, channels, *sizes = shape
        first = [2 + 2 * i for i in range(len(sizes))]
        second = [i + 1 for i in first]
        if self.pattern == "column":
            bands = 2 ** len(sizes)
            cut, choice, rest = [bands, math.prod(sizes) // bands], [2], [3]
        elif self.pattern == "patch":
            cut, choice, rest = [s for size in sizes for s in (2, size // 2)], first, second
        else:
            cut, choice, rest = [s for size in sizes for s in (size // 2, 2)], second, first
        front = [1, *choice] if self.order == "channel" else [*choice, 1]
        return [n, channels, *cut], [0, *front, *rest]


class WaveletSqueeze(Squeeze):
    """One level of the periodic orthonormal wavelet transform along every axis.

    The first C channels are the low-pass band; channels are ordered k·C + c.
    """

    def __init__(self, wavelet: str) -> None:
        super().__init__()
        if wavelet not in _filters():
            raise ArgumentError(f"wavelet is {wavelet!r}, which is not known")
        self.wavelet = wavelet

    def _squeeze(self, x: Tensor) -> Tensor:
        shape = self.output_shape(tuple(x.shape))
        axes = [2 + 2 * i for i in range(x.dim() - 2)]
        for axis in axes:
            q = self._matrix(x.shape[axis], x)
            x = torch.tensordot(x, q, dims=([axis], [1])).movedim(-1, axis)
            x = x.unflatten(axis, (2, -1))
        return x.permute([0, *axes, 1, *(a + 1 for a in axes)]).reshape(shape)

    def _unsqueeze(self, y: Tensor) -> Tensor:
        n, channels, *sizes = self.input_shape(tuple(y.shape))
        d = len(sizes)
        x = y.reshape(n, *[2] * d, channels, *y.shape[2:])
        x = x.permute([0, d + 1, *(i for k in range(d) for i in (1 + k, d + 2 + k))])
        for axis in range(2, 2 + d):
            x = x.flatten(axis, axis + 1)
            q = self._matrix(x.shape[axis], x)
            x = torch.tensordot(x, q, dims=([axis], [0])).movedim(-1, axis)
        return x

    def _matrix(self, size: int, like: Tensor) -> Tensor:
        """The transform along an axis, orthogonal: low-pass rows, then high-pass rows."""
        low = _filters()[self.wavelet]
        high = [(-1) ** m * h for m, h in enumerate(reversed(low))]
        q = torch.zeros(2, size // 2, size, dtype=torch.float64)
        rows = torch.arange(size // 2)
        for band, weights in enumerate((low, high)):
            for m, h in enumerate(weights):
                q[band, rows, (2 * rows + m) % size] += h
        return q.reshape(size, size).to(like)


class HaarSqueeze(WaveletSqueeze):
    """One level of the orthonormal Haar transform: averages and differences along each axis."""

    def __init__(self) -> None:
        super().__init__("db1")


@cache
def _filters() -> dict[str, list[float]]:
    """Scaling filters of orthogonal wavelets by name, written by InvNet from its own."""
    text = resources.files(__package__).joinpath("wavelet-filters.json").read_text("utf-8")
    return json.loads(text)
