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
    require_count,
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
        return _product([self.v1, self.v2, self.v3])

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


class OrthogonalMap(Bijection):
    """y = W x at every position, with an orthogonal W that subclasses give; logdet = 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    @property
    def matrix(self) -> Tensor:
        """W [C, C]."""
        raise NotImplementedError

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, None]:
        require_channels(self, x, self.channels)
        return _mixed(self.matrix, x), None

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, None]:
        require_channels(self, y, self.channels)
        return _mixed(self.matrix.T, y), None


class Householder(OrthogonalMap):
    """W = H(v₁)H(v₂)...H(vₖ) with H(v) = I − 2vvᵀ/vᵀv."""

    def __init__(self, channels: int, reflections: int = 2, frozen: bool = False) -> None:
        super().__init__(channels)
        require_count("reflections", reflections)
        self._names_of_vectors = [f"v{k + 1}" for k in range(reflections)]
        for name in self._names_of_vectors:
            self.register_parameter(name, parameter(channels))

    @property
    def matrix(self) -> Tensor:
        return _product([self.get_parameter(name) for name in self._names_of_vectors])


class Orthogonal(OrthogonalMap):
    """W = R(a − aᵀ) Q, with Q the ``start`` and R(A) = exp A, or (I − A)(I + A)⁻¹ by ``cayley``."""

    def __init__(
        self,
        channels: int,
        map: str = "exponential",
        start: list[float] | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__(channels)
        if map not in ("exponential", "cayley"):
            raise ArgumentError(f"map is {map!r}, which is not known")
        if start is not None and len(start) != channels**2:
            raise ArgumentError(f"start has {len(start)} numbers; expected {channels**2}")
        self.map, self.start = map, start
        self.a = parameter(channels, channels)

    @property
    def matrix(self) -> Tensor:
        skew = self.a - self.a.T
        if self.map == "exponential":
            rotation = torch.linalg.matrix_exp(skew)
        else:
            unit = torch.eye(self.channels, dtype=skew.dtype, device=skew.device)
            rotation = torch.linalg.solve(unit + skew, unit - skew)
        if self.start is None:
            return rotation
        return rotation @ rotation.new_tensor(self.start).reshape(rotation.shape)


class ConditionalHouseholder(Bijection):
    """y = H(v₁)H(v₂)...H(vₖ) x for the vectors v of the context; logdet = 0.

    The context is [N, k·C] for all positions of a sample, or [N, k·C, ...] for each.
    """

    uses_context = True

    def __init__(self, channels: int, reflections: int = 2) -> None:
        super().__init__()
        require_count("reflections", reflections)
        self.channels, self.reflections = channels, reflections

    def _map(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, None]:
        return self._reflected(x, reversed(self._vectors(x, context))), None

    def _map_back(self, y: Tensor, context: Tensor | None) -> tuple[Tensor, None]:
        return self._reflected(y, self._vectors(y, context)), None

    def _vectors(self, x: Tensor, context: Tensor | None) -> Any:
        require_channels(self, x, self.channels)
        if context is None:
            raise ArgumentError("ConditionalHouseholder: expected a context of vectors, got none.")
        wide = context
        if context.dim() == 2:
            wide = context.reshape(*context.shape, *[1] * (x.dim() - 2))
        expected = (len(x), self.reflections * self.channels, *wide.shape[2:])
        require_shape(self, "the context", wide, expected)
        return wide.chunk(self.reflections, 1)

    def _reflected(self, x: Tensor, vectors: Any) -> Tensor:
        for v in vectors:
            x = x - v * (2 * (v * x).sum(1, keepdim=True) / (v * v).sum(1, keepdim=True))
        return x


class InvertibleBatchNorm(Bijection):
    """y = s ⊙ (x − μ)/√(v + ε) + b per channel; logdet = P·Σ (log|s| − ½ log(v + ε)).

    The running statistics μ and v are numbers like any others here, in training as in evaluation,
    and stay as they are: InvNet moves them, in steps of training.
    """

    runningMean: Tensor
    runningVariance: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.epsilon = channels, epsilon
        self.scale, self.shift = parameter(channels), parameter(channels)
        for name in ("runningMean", "runningVariance"):
            self.register_buffer(name, torch.empty(channels, device="meta"))
        self.register_buffer("initialized", torch.empty((), device="meta"))

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        require_channels(self, x, self.channels)
        factor, mean = along_channels(self._factor, x), along_channels(self.runningMean, x)
        return (x - mean) * factor + along_channels(self.shift, x), self._logdet(x)

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        require_channels(self, y, self.channels)
        factor, mean = along_channels(self._factor, y), along_channels(self.runningMean, y)
        return (y - along_channels(self.shift, y)) / factor + mean, -self._logdet(y)

    @property
    def _factor(self) -> Tensor:
        return self.scale / (self.runningVariance + self.epsilon).sqrt()

    def _logdet(self, x: Tensor) -> Tensor:
        return everywhere(x, positions(x) * self._factor.abs().log().sum())


class Standardization(Bijection):
    """y = (x − μ)/σ per channel, with buffers μ and σ; logdet = −P·Σ log σ over P positions."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        for name in ("mean", "deviation"):
            self.register_buffer(name, torch.empty(channels, device="meta"))

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        require_channels(self, x, self.channels)
        y = (x - along_channels(self.mean, x)) / along_channels(self.deviation, x)
        return y, -self._log_deviations(x)

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        require_channels(self, y, self.channels)
        x = y * along_channels(self.deviation, y) + along_channels(self.mean, y)
        return x, self._log_deviations(y)

    def _log_deviations(self, x: Tensor) -> Tensor:
        return everywhere(x, positions(x) * self.deviation.log().sum())


SET_BY_DATA = (ActNorm, InvertibleBatchNorm)
"""What InvNet sets by the first batch of training, and says so in the file."""


def require_order(name: str, order: list[int], channels: int) -> None:
    """Raises unless a list has each channel once."""
    if sorted(order) != list(range(channels)):
        raise ArgumentError(f"{name} is {order}; expected each of {channels} channels once")


def inverse_order(order: list[int]) -> list[int]:
    """Where each channel went."""
    return sorted(range(len(order)), key=order.__getitem__)


def _product(vectors: list[Tensor]) -> Tensor:
    """H(v₁)H(v₂)...H(vₖ)"""
    w = torch.eye(len(vectors[0]), dtype=vectors[0].dtype, device=vectors[0].device)
    for v in vectors:
        w = w - torch.outer(w @ v, v) * (2 / (v @ v))
    return w


def _mixed(w: Tensor, x: Tensor) -> Tensor:
    return (w @ x.unsqueeze(-1).flatten(2)).reshape(x.shape)
