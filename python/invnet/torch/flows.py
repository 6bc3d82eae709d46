"""Flows: a bijection and a base distribution; and likelihoods of quantized data."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError
from .core import Bijection, checked_context, per_sample
from .tree import Module


class BaseDistribution(Module):
    """A distribution with a density that can be sampled."""

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) per sample, of shape [N]."""
        raise NotImplementedError

    def sample(self, like: Tensor, temperature: float, generator: Any) -> Tensor:
        """Samples of the shape and the kind of another tensor."""
        raise NotImplementedError


class StandardNormal(BaseDistribution):
    """Independent standard normal numbers."""

    def log_prob(self, z: Tensor) -> Tensor:
        dims = z[:1].numel()
        return -0.5 * per_sample(z * z) - 0.5 * dims * math.log(2 * math.pi)

    def sample(self, like: Tensor, temperature: float, generator: Any) -> Tensor:
        z = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
        return temperature * z


class Flow(Module):
    """The distribution of x = f⁻¹(z) with z from the base."""

    network: Bijection
    base: BaseDistribution

    def __init__(self, network: Bijection, base: BaseDistribution | None = None) -> None:
        super().__init__()
        if not isinstance(network, Bijection):
            raise ArgumentError(f"network is a {type(network).__name__}; expected a bijection")
        self.network = network
        self.base = StandardNormal() if base is None else base

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The latent z of x and log|det dz/dx|: the network's `forward`."""
        return self.network(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The x of a latent z and log|det dx/dz|: the network's `inverse`."""
        return self.network.inverse(z, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(x), or log p(x | context), per sample in nats.

        Parameters
        ----------
        x : torch.Tensor
            Data, batch first.
        context : torch.Tensor, optional
            One entry per sample, or one for all.

        Returns
        -------
        torch.Tensor
            Of shape [N].
        """
        z, logdet = self.network(x, context)
        return self.base.log_prob(z) + logdet

    @torch.no_grad()
    def sample(
        self,
        n: int,
        shape: tuple[int, ...],
        *,
        temperature: float = 1.0,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw samples.

        Parameters
        ----------
        n : int
            How many.
        shape : tuple of int
            That of one sample, such as ``(1, 28, 28)``.
        temperature : float
            Scales the base's deviation; below 1, samples lie closer to the mode.
        context : torch.Tensor, optional
            One entry per sample, or one for all.
        generator : torch.Generator, optional
            Draws the latent variables, on the device of the flow.

        Returns
        -------
        torch.Tensor
            Of shape [n, *shape], with the precision and on the device of the parameters.
        """
        if n < 1:
            raise ArgumentError(f"Flow.sample: n is {n}; expected at least 1.")
        if not (math.isfinite(temperature) and temperature >= 0):
            raise ArgumentError(f"Flow.sample: temperature is {temperature}; expected at least 0.")
        kind = next(self.parameters(), torch.empty(0))
        like = kind.new_empty(self.network.output_shape((n, *shape)))
        z = self.base.sample(like, temperature, generator)
        return self.network.inverse(z, checked_context(self.network, "Flow.sample", z, context))[0]


def dequantize(
    pixels: Tensor, levels: int = 256, generator: torch.Generator | None = None
) -> Tensor:
    """x = (v + u)/levels for pixels v and uniform noise u: data in [0, 1) with a density.

    Parameters
    ----------
    pixels : torch.Tensor
        Whole numbers from 0 to levels − 1.
    levels : int
        How many values a pixel can take.
    generator : torch.Generator, optional
        Draws the noise.

    Returns
    -------
    torch.Tensor
        Of torch's default type, with ⌊levels·x⌋ = v.
    """
    if pixels.numel() and not 0 <= pixels.min() <= pixels.max() < levels:
        raise ArgumentError(f"dequantize: expected pixels from 0 to {levels - 1}.")
    v = pixels.to(torch.get_default_dtype())
    x = (v + torch.rand(v.shape, generator=generator, device=v.device)) / levels
    # Rounding may take x, or the product by which one finds the level again, to the level beside v.
    x = torch.where(x * levels < v, torch.nextafter(x, torch.ones_like(x)), x)
    while (above := x * levels >= v + 1).any():
        x = torch.where(above, torch.nextafter(x, torch.zeros_like(x)), x)
    return x


def bits_per_dim(nats: float, dims: int, levels: int = 256) -> float:
    """Bits per dimension of data with `levels` values that were scaled to [0, 1).

    Parameters
    ----------
    nats : float
        Negative log-likelihood of a sample of the scaled data.
    dims : int
        Numbers per sample.
    levels : int
        How many values a number can take.
    """
    return nats / (dims * math.log(2)) + math.log2(levels)
