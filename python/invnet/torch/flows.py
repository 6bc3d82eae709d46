"""Flows: a bijection and a base distribution; and likelihoods of quantized data."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError
from .bases import BaseDistribution, StandardNormal
from .core import Bijection, checked_context
from .tree import Module


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
        z, logdet = self.network(x, self._of_network(context))
        return self.base.log_prob(z, self._of_base(z, context)) + logdet

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
        return self.draw_like(kind.new_empty((n, *shape)), temperature, generator, context)

    def draw_like(
        self, x: Tensor, temperature: float, generator: Any, context: Tensor | None
    ) -> Tensor:
        """Samples of the shape and the kind of another tensor."""
        like = x.new_empty(self.network.output_shape(tuple(x.shape)))
        z = self.base.sample(like, temperature, generator, self._of_base(like, context))
        own = checked_context(self.network, "Flow.sample", z, self._of_network(context))
        return self.network.inverse(z, own)[0]

    def _of_network(self, context: Tensor | None) -> Tensor | None:
        """A context for the network: what it uses, or what nothing uses, which it refuses."""
        used = self.network.uses_context or not self.base.uses_context
        return context if used else None

    def _of_base(self, z: Tensor, context: Tensor | None) -> Tensor | None:
        if not self.base.uses_context:
            return None
        return checked_context(self.base, "Flow", z, context)


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
