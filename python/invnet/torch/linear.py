"""Scales and shifts, and matrices that mix channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError
from .core import (
    Bijection,
    along_channels,
    everywhere,
    positions,
    require_channels,
    require_shape,
)
from .tree import parameter


class ActNorm(Bijection):
    """y = s ⊙ x + b, with a scale and a shift per channel; logdet = P·Σ log|s| over P positions.

    One that no data had set is the identity, and is trained from there.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.scale, self.shift = parameter(channels), parameter(channels)
        self.register_buffer("initialized", torch.empty((), device="meta"))

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        require_channels(self, x, self.channels)
        y = x * along_channels(self.scale, x) + along_channels(self.shift, x)
        return y, self._logdet(x)

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        require_channels(self, y, self.channels)
        x = (y - along_channels(self.shift, y)) / along_channels(self.scale, y)
        return x, -self._logdet(y)

    def _logdet(self, x: Tensor) -> Tensor:
        return everywhere(x, positions(x) * self.scale.abs().log().sum())


class AffineLayer(Bijection):
    """y = s ⊙ x + b, with a scale and a shift per position and channel; logdet = Σ log|s|."""

    def __init__(self, channels: int, size: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.scale, self.shift = parameter(channels, *size), parameter(channels, *size)

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        require_shape(self, "a sample", x[:1], (1, *self.scale.shape))
        return x * self.scale + self.shift, self._logdet(x)

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        require_shape(self, "a sample", y[:1], (1, *self.scale.shape))
        return (y - self.shift) / self.scale, -self._logdet(y)

    def _logdet(self, x: Tensor) -> Tensor:
        return everywhere(x, self.scale.abs().log().sum())


class Conv1x1(Bijection):
    """y = W x at every position; logdet = P·log|det W| over P positions.

    W is a product of three Householder reflections, or P L U: row i of W is row ``rows[i]`` of L U,
    by default in reverse, with a unit L and a U with the diagonal ± exp(dᵢ), by default positive.
    """

    def __init__(
        self,
        channels: int,
        parametrization: str = "householder",
        rows: list[int] | None = None,
        signs: list[float] | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.rows = list(reversed(range(channels))) if rows is None else rows
        self.signs = [1.0] * channels if signs is None else signs
        require_order("rows", self.rows, channels)
        if len(self.signs) != channels:
            raise ArgumentError(f"signs is {self.signs}; expected one for each of {channels}")
        if parametrization == "householder":
            self.v1, self.v2, self.v3 = (parameter(channels) for _ in range(3))
        elif parametrization == "plu":
            self.lu = parameter(channels, channels)
        else:
            raise ArgumentError(f"parametrization is {parametrization!r}, which is not known")

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor | None]:
        require_channels(self, x, self.channels)
        if "lu" not in self._parameters:
            return _mixed(self._reflections(), x), None
        lower, upper = self._factors()
        return _mixed((lower @ upper)[self.rows], x), self._logdet(x)

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor | None]:
        require_channels(self, y, self.channels)
        if "lu" not in self._parameters:
            return _mixed(self._reflections().T, y), None
        lower, upper = self._factors()
        flat = y.unsqueeze(-1).flatten(2)[:, inverse_order(self.rows)]
        inner = torch.linalg.solve_triangular(lower, flat, upper=False, unitriangular=True)
        x = torch.linalg.solve_triangular(upper, inner, upper=True)
        return x.reshape(y.shape), -self._logdet(y)

    def _reflections(self) -> Tensor:
        w = torch.eye(self.channels, dtype=self.v1.dtype, device=self.v1.device)
        for v in (self.v1, self.v2, self.v3):
            w = w - torch.outer(w @ v, v) * (2 / (v @ v))
        return w

    def _factors(self) -> tuple[Tensor, Tensor]:
        diagonal = torch.diag(self.lu.diagonal().exp() * self.lu.new_tensor(self.signs))
        identity = torch.eye(self.channels, dtype=self.lu.dtype, device=self.lu.device)
        return self.lu.tril(-1) + identity, self.lu.triu(1) + diagonal

    def _logdet(self, x: Tensor) -> Tensor:
        return everywhere(x, positions(x) * self.lu.diagonal().sum())


class Permutation(Bijection):
    """y[n, c, …] = x[n, order[c], …]; logdet = 0."""

    def __init__(self, channels: int, order: list[int]) -> None:
        super().__init__()
        require_order("order", order, channels)
        self.order = order

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, None]:
        require_channels(self, x, len(self.order))
        return x[:, self.order], None

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, None]:
        require_channels(self, y, len(self.order))
        return y[:, inverse_order(self.order)], None


def require_order(name: str, order: list[int], channels: int) -> None:
    """Raises unless a list has each channel once."""
    if sorted(order) != list(range(channels)):
        raise ArgumentError(f"{name} is {order}; expected each of {channels} channels once")


def inverse_order(order: list[int]) -> list[int]:
    """Where each channel went."""
    return sorted(range(len(order)), key=order.__getitem__)


def _mixed(w: Tensor, x: Tensor) -> Tensor:
    return (w @ x.unsqueeze(-1).flatten(2)).reshape(x.shape)
