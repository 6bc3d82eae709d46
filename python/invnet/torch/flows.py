"""Flows: a bijection and a base distribution; and likelihoods of quantized data."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError
from .bases import BaseDistribution, StandardNormal
from .core import Bijection, checked_context, log_sigmoid_slope, per_sample, without_logdet
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
        z = self._latent(x, temperature, generator, context)
        own = checked_context(self.network, "Flow.sample", z, self._of_network(context))
        with without_logdet():
            return self.network.inverse(z, own)[0]

    def _latent(
        self, x: Tensor, temperature: float, generator: Any, context: Tensor | None
    ) -> Tensor:
        like = x.new_empty(self.network.output_shape(tuple(x.shape)))
        return self.base.sample(like, temperature, generator, self._of_base(like, context))

    def _of_network(self, context: Tensor | None) -> Tensor | None:
        """A context for the network: what it uses, or what nothing uses, which it refuses."""
        used = self.network.uses_context or not self.base.uses_context
        return context if used else None

    def _of_base(self, z: Tensor, context: Tensor | None) -> Tensor | None:
        if not self.base.uses_context:
            return None
        return checked_context(self.base, "Flow", z, context)


class VariationalDequantization(Module):
    """x = (v + u)/levels for pixels v and noise u = σ(h), with h from a flow given the pixels.

    The noise is for training and for `bound` alone: samples are those of ``flow``.
    """

    flow: Flow
    noise: Flow

    def __init__(self, flow: Flow, noise: Flow, levels: int = 256) -> None:
        super().__init__()
        for name, part in (("flow", flow), ("noise", noise)):
            if not isinstance(part, Flow):
                raise ArgumentError(f"{name} is a {type(part).__name__}; expected a flow")
        self.flow, self.noise, self.levels = flow, noise, levels

    def bound(
        self,
        pixels: Tensor,
        context: Tensor | None = None,
        *,
        z: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """log p(x) − log q(u | v) for one draw of noise per sample.

        Its mean over draws is at most the log-probability of the pixels plus D·log levels, so that
        `bits_per_dim` of minus its mean is an upper bound. Both flows are trained by raising it.

        Parameters
        ----------
        pixels : torch.Tensor
            Whole numbers from 0 to levels − 1, batch first.
        context : torch.Tensor, optional
            That of the flow of the data; the noise has the pixels as its own.
        z : torch.Tensor, optional
            The latent variables of the noise; drawn where they are left out.
        generator : torch.Generator, optional
            Draws them, on the device of the parameters.

        Returns
        -------
        torch.Tensor
            Of shape [N].
        """
        kind = next(self.parameters(), torch.empty(0))
        v = _checked_pixels("VariationalDequantization.bound", pixels, self.levels).to(kind)
        low, high = (_within_level((v + i) / self.levels, v, self.levels) for i in (0, 1))
        own = low + (0.5 / self.levels - 0.5) if self.noise.uses_context else None
        if z is None:
            z = self.noise._latent(low, 1.0, generator, own)
        h, logdet = self.noise.inverse(z, self.noise._of_network(own))
        base = self.noise.base.log_prob(z, self.noise._of_base(z, own))
        x = low + torch.sigmoid(h) / self.levels
        # What rounding took to the level beside is moved, with the gradient of where it was.
        x = x + (torch.minimum(x, high) - x).detach()
        of_noise = base - logdet - per_sample(log_sigmoid_slope(h))
        return self.flow.log_prob(x, context) - of_noise


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
    v = _checked_pixels("dequantize", pixels, levels).to(torch.get_default_dtype())
    noise = torch.rand(v.shape, generator=generator, device=v.device)
    return _within_level((v + noise) / levels, v, levels)


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


def _checked_pixels(call: str, pixels: Tensor, levels: int) -> Tensor:
    if pixels.numel() and not 0 <= pixels.min() <= pixels.max() < levels:
        raise ArgumentError(f"{call}: expected pixels from 0 to {levels - 1}.")
    return pixels.detach()


def _within_level(x: Tensor, v: Tensor, levels: int) -> Tensor:
    """x, moved to the number next to it where that is needed for ⌊levels·x⌋ to be v."""
    # Rounding may take x, or the product by which one finds the level again, to the level beside v.
    x = torch.where(x * levels < v, torch.nextafter(x, torch.ones_like(x)), x)
    while (above := x * levels >= v + 1).any():
        x = torch.where(above, torch.nextafter(x, torch.zeros_like(x)), x)
    return x
