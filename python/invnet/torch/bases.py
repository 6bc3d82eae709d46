"""Base distributions of flows."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ArgumentError, ShapeError
from .core import Conditioner, checked_context, per_sample, require_channels
from .tree import Module, parameter

Moments = tuple[Tensor, Tensor]
"""Means and logarithms of deviations, to be broadcast over z."""


class BaseDistribution(Module):
    """A distribution with a density that can be sampled, which may depend on a context."""

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(z) per sample, of shape [N]."""
        raise NotImplementedError

    def sample(
        self, like: Tensor, temperature: float, generator: Any, context: Tensor | None = None
    ) -> Tensor:
        """Samples of the shape and the kind of another tensor."""
        raise NotImplementedError


class StandardNormal(BaseDistribution):
    """Independent standard normal numbers."""

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        dims = z[:1].numel()
        return -0.5 * per_sample(z * z) - 0.5 * dims * math.log(2 * math.pi)

    def sample(
        self, like: Tensor, temperature: float, generator: Any, context: Tensor | None = None
    ) -> Tensor:
        return temperature * _noise(like.shape, like, generator)


class _Entries(BaseDistribution):
    """Parameters for each channel, or for each number of a sample where there is a ``size``."""

    def __init__(self, channels: int, size: list[int] | None) -> None:
        super().__init__()
        self.channels, self.size = channels, size

    @property
    def shape(self) -> tuple[int, ...]:
        """That of a parameter."""
        return (self.channels, *(self.size or []))

    def require(self, z: Tensor) -> None:
        """Raises unless the parameters are of such z."""
        if self.size is None:
            require_channels(self, z, self.channels)
        elif tuple(z.shape[1:]) != self.shape:
            expected = f"[N, {', '.join(map(str, self.shape))}]"
            raise ShapeError(f"{type(self).__name__}: got {list(z.shape)}; expected {expected}.")

    def over(self, v: Tensor, z: Tensor) -> Tensor:
        """A parameter, or one for each sample, to be broadcast over z."""
        return v if self.size is not None else v.reshape(*v.shape, *[1] * (z.dim() - 2))


class _Moments(_Entries):
    """Independent normal numbers, whoever gives their means and deviations."""

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        self.require(z)
        mean, log_deviation = self.moments(z, context)
        e = (z - mean) * torch.exp(-log_deviation)
        normal = -0.5 * z[:1].numel() * math.log(2 * math.pi)
        return normal - per_sample(0.5 * e * e + log_deviation)

    def sample(
        self, like: Tensor, temperature: float, generator: Any, context: Tensor | None = None
    ) -> Tensor:
        self.require(like)
        mean, log_deviation = self.moments(like, context)
        noise = temperature * _noise(like.shape, like, generator)
        return mean + torch.exp(log_deviation) * noise

    def moments(self, z: Tensor, context: Tensor | None) -> Moments:
        """Means and logarithms of deviations."""
        raise NotImplementedError


class Normal(_Moments):
    """Independent normal numbers with a mean and a deviation each."""

    def __init__(
        self, channels: int, size: list[int] | None = None, frozen: bool = False
    ) -> None:
        super().__init__(channels, size)
        self.mean, self.logDeviation = parameter(*self.shape), parameter(*self.shape)

    def moments(self, z: Tensor, context: Tensor | None) -> Moments:
        return self.over(self.mean, z), self.over(self.logDeviation, z)


class ClassConditional(_Moments):
    """A mean and a deviation for each class; the context has a 1 at the class, [N, classes]."""

    uses_context = True

    def __init__(self, channels: int, classes: int, size: list[int] | None = None) -> None:
        super().__init__(channels, size)
        shape = (classes, *self.shape)
        self.mean, self.logDeviation = parameter(*shape), parameter(*shape)

    def moments(self, z: Tensor, context: Tensor | None) -> Moments:
        weights = _context_for(self, z, context)
        mean, log_deviation = (
            self.over(torch.tensordot(weights, p, 1), z) for p in (self.mean, self.logDeviation)
        )
        return mean, log_deviation


class ConditionalNormal(_Moments):
    """Independent normal numbers with (μ, log σ) = g(context)."""

    uses_context = True

    def __init__(self, channels: int, conditioner: Conditioner) -> None:
        super().__init__(channels, None)
        self.conditioner = conditioner

    def moments(self, z: Tensor, context: Tensor | None) -> Moments:
        y = self.conditioner(_context_for(self, z, context))
        mean, log_deviation = (
            v if y.dim() == z.dim() else self.over(v, z) for v in y.split(self.channels, 1)
        )
        return mean, log_deviation


class MultivariateNormal(_Entries):
    """A normal distribution with covariance L Lᵀ; ``factor`` has the logarithms of L's diagonal."""

    def __init__(
        self, channels: int, size: list[int] | None = None, frozen: bool = False
    ) -> None:
        super().__init__(channels, size)
        count = math.prod(self.shape)
        self.mean, self.factor = parameter(*self.shape), parameter(count, count)

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        self.require(z)
        count = len(self.factor)
        centered = z.reshape(len(z), count, -1) - self.mean.reshape(-1, 1)
        e = torch.linalg.solve_triangular(self._lower(), centered, upper=False)
        normal = -0.5 * z[:1].numel() * math.log(2 * math.pi)
        return normal - 0.5 * per_sample(e * e) - self.factor.diagonal().sum() * e.shape[2]

    def sample(
        self, like: Tensor, temperature: float, generator: Any, context: Tensor | None = None
    ) -> Tensor:
        self.require(like)
        noise = temperature * _noise(like.shape, like, generator)
        moved = self._lower() @ noise.reshape(len(like), len(self.factor), -1)
        return (moved + self.mean.reshape(-1, 1)).reshape(like.shape)

    def _lower(self) -> Tensor:
        return self.factor.tril(-1) + torch.diag(self.factor.diagonal().exp())


class Uniform(BaseDistribution):
    """Independent uniform numbers from ``low`` to ``high``, each one for all or one a channel."""

    def __init__(self, low: Any = 0, high: Any = 1) -> None:
        super().__init__()
        self.low, self.high = low, high

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        low, high = self._bounds(z)
        inside = ((z >= low) & (z <= high)).to(z.dtype)
        return per_sample(inside.log() - (high - low).log())

    def sample(
        self, like: Tensor, temperature: float, generator: Any, context: Tensor | None = None
    ) -> Tensor:
        if temperature > 1:
            raise ArgumentError(f"Uniform: temperature is {temperature}; expected at most 1.")
        low, high = self._bounds(like)
        kind = {"dtype": like.dtype, "device": like.device}
        u = torch.rand(like.shape, generator=generator, **kind)
        return low + (high - low) * (temperature * u + (1 - temperature) / 2)

    def _bounds(self, z: Tensor) -> tuple[Tensor, Tensor]:
        low, high = (
            z.new_tensor(b).reshape(-1, *[1] * (z.dim() - 2)) for b in (self.low, self.high)
        )
        return low, high


class NormalMixture(_Entries):
    """A mixture of normal distributions of whole samples, with independent numbers in each."""

    def __init__(
        self,
        channels: int,
        components: int,
        size: list[int] | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__(channels, [] if size is None else size)
        shape = (components, *self.shape)
        self.logits = parameter(components)
        self.mean, self.logDeviation = parameter(*shape), parameter(*shape)

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        self.require(z)
        log_deviation = self.logDeviation.flatten(1)
        e = (z.reshape(len(z), 1, -1) - self.mean.flatten(1)) * torch.exp(-log_deviation)
        normal = -0.5 * z[:1].numel() * math.log(2 * math.pi)
        terms = normal - (0.5 * e * e + log_deviation).sum(2)
        return torch.logsumexp(terms + self.logits.log_softmax(0), 1)

    def sample(
        self, like: Tensor, temperature: float, generator: Any, context: Tensor | None = None
    ) -> Tensor:
        self.require(like)
        chosen = _components(self.logits, len(like), generator)
        noise = temperature * _noise(like.shape, like, generator)
        return self.mean[chosen] + self.logDeviation[chosen].exp() * noise


class StudentT(_Entries):
    """Independent numbers of Student's t distribution, with a mean, a scale and degrees each."""

    def __init__(
        self, channels: int, size: list[int] | None = None, frozen: bool = False
    ) -> None:
        super().__init__(channels, size)
        self.mean, self.logScale = parameter(*self.shape), parameter(*self.shape)
        self.logDegrees = parameter(*self.shape)

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return per_sample(self._distribution(z).log_prob(z))

    def sample(
        self, like: Tensor, temperature: float, generator: Any, context: Tensor | None = None
    ) -> Tensor:
        # Bailey, "Polar generation of random variates with the t-distribution", 1994.
        t = self._distribution(like)
        kind = {"dtype": like.dtype, "device": like.device}
        u, v = (torch.rand(like.shape, generator=generator, **kind) for _ in range(2))
        radius = torch.sqrt(t.df * torch.expm1(-2 * torch.log1p(-u) / t.df))
        return t.loc + t.scale * temperature * radius * torch.cos(2 * math.pi * v)

    def _distribution(self, z: Tensor) -> torch.distributions.StudentT:
        self.require(z)
        mean, scale, degrees = (
            self.over(p, z) for p in (self.mean, self.logScale.exp(), self.logDegrees.exp())
        )
        return torch.distributions.StudentT(degrees, mean, scale)


class MixtureFlow(BaseDistribution):
    """A mixture of flows or base distributions."""

    def __init__(self, components: list[Any], frozen: bool = False) -> None:
        super().__init__()
        if not components:
            raise ArgumentError("MixtureFlow: got no components; expected at least one.")
        self.components = nn.ModuleList(components)
        self.logits = parameter(len(components))

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        terms = [
            c.log_prob(z, context if c.uses_context else None) for c in self.components
        ]
        return torch.logsumexp(torch.stack(terms, 1) + self.logits.log_softmax(0), 1)

    def sample(
        self, like: Tensor, temperature: float, generator: Any, context: Tensor | None = None
    ) -> Tensor:
        chosen = _components(self.logits, len(like), generator)
        z = torch.empty_like(like)
        for k, component in enumerate(self.components):
            rows = chosen == k
            if not rows.any():
                continue
            own = context if component.uses_context else None
            if own is not None and len(own) > 1:
                own = own[rows]
            part = like.new_empty(int(rows.sum()), *like.shape[1:])
            draw = component.draw_like if hasattr(component, "draw_like") else component.sample
            z[rows] = draw(part, temperature, generator, own)
        return z


def _noise(shape: tuple[int, ...], like: Tensor, generator: Any) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)


def _components(logits: Tensor, samples: int, generator: Any) -> Tensor:
    return torch.multinomial(logits.softmax(0), samples, True, generator=generator)


def _context_for(base: Module, z: Tensor, context: Tensor | None) -> Tensor:
    name = type(base).__name__
    found = checked_context(base, name, z, context)
    if found is None:
        raise ArgumentError(f"{name}: expected a context, got none.")
    return found
