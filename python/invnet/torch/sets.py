"""Attention between positions, and networks of sets, whatever the order of their elements."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ArgumentError, ShapeError
from .chains import ActivationLayer, Chain, Conv, Dense, SkipConnection
from .conditioners import ConvLayer, LayerNorm
from .core import Conditioner, require_channels
from .elementwise import Activation, Relu
from .tree import parameter


class MultiHeadAttention(Conditioner):
    """W_o A + b_o with softmax-weighted means A of values, by products of queries and keys.

    Positions of x [N, C, ...] attend to its own, or to those of a context; with ``masked`` its last
    channel is 1 at positions that are there.
    """

    def __init__(
        self, channels: int, heads: int = 1, context_channels: int = 0, masked: bool = False
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ArgumentError(f"channels is {channels}; expected a multiple of {heads} heads")
        self.channels, self.heads = channels, heads
        self.context_channels, self.masked = context_channels, masked
        seen = context_channels or channels
        self.query = ConvLayer(channels, channels, 1, 1)
        self.key, self.value = (ConvLayer(seen, channels, 1, 1) for _ in range(2))
        self.output = ConvLayer(channels, channels, 1, 1)

    @property
    def uses_context(self) -> bool:  # type: ignore[override]
        """Does it attend to one?"""
        return self.context_channels > 0

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        require_channels(self, x, self.channels)
        flat = x.reshape(*x.shape[:2], -1)
        z, bias = self._attended(flat, context)
        made = (self.query(flat), self.key(z), self.value(z))
        q, k, v = (t.reshape(len(x), self.heads, -1, t.shape[2]) for t in made)
        scores = q.transpose(2, 3) @ k / math.sqrt(q.shape[2])
        shares = torch.softmax(scores if bias is None else scores + bias, 3)
        return self.output((v @ shares.transpose(2, 3)).reshape(flat.shape)).reshape(x.shape)

    def _attended(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What is attended to [N, C, M], and what its mask adds to the scores."""
        if not self.uses_context:
            return x, None
        if context is None:
            raise ArgumentError("MultiHeadAttention: expected a context, got none.")
        require_channels(self, context, self.context_channels + self.masked)
        z = context.reshape(*context.shape[:2], -1)
        if not self.masked:
            return z, None
        # Far below every score, so that its exponential is zero.
        bias = (_marked(z[:, -1]) - 1) * 1e9
        return z[:, :-1], bias[:, None, None]


class InducedAttention(Conditioner):
    """B(x; A(I; z)): learned vectors I see a context z, and x sees what became of them."""

    uses_context = True

    def __init__(
        self,
        channels: int,
        context_channels: int,
        points: int,
        heads: int = 1,
        masked: bool = False,
    ) -> None:
        super().__init__()
        self.points = parameter(channels, points)
        self.gather = _attention_block(channels, heads, context_channels, masked)
        self.spread = _attention_block(channels, heads, channels, False)

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        if context is None:
            raise ArgumentError("InducedAttention: expected a context, got none.")
        points = self.points.expand(len(x), *self.points.shape)
        return self.spread(x, self.gather(points, context))


class DeepSet(Conditioner):
    """ρ(mean of φ(eᵢ), log m) for sets of m elements: [N, M, features] to [N, out_channels].

    With ``masked`` elements have a last feature more, which is 1 where one is there.
    """

    def __init__(
        self,
        features: int,
        out_channels: int,
        hidden: int = 64,
        masked: bool = False,
        pooling: str = "mean",
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "sum"):
            raise ArgumentError(f"pooling is {pooling!r}, which is not known")
        self.features, self.masked, self.pooling = features, masked, pooling
        f = Relu() if activation is None else activation
        each = [Conv(features, hidden, 1, ndims=1), Conv(hidden, hidden, 1, ndims=1)]
        self.element = Chain([part for conv in each for part in (conv, ActivationLayer(f))])
        ends = [Dense(hidden + 1, hidden), Dense(hidden, out_channels)]
        self.set = Chain([ends[0], ActivationLayer(f), ends[1]])

    def _value(self, x: Tensor, context: Any) -> Tensor:
        elements, mask = _elements(self, x, self.features, self.masked)
        sizes = mask.sum(2)
        sums = (self.element(elements) * mask).sum(2)
        pooled = sums / sizes if self.pooling == "mean" else sums
        return self.set(torch.cat([pooled, sizes.log()], 1))


class SetTransformer(Conditioner):
    """Sets to vectors by blocks in which elements see each other, and seeds that see them all.

    With ``inducing`` they see each other by way of as many learned vectors. ``masked`` is as of
    `DeepSet`.
    """

    uses_context = False

    def __init__(
        self,
        features: int,
        out_channels: int,
        hidden: int = 32,
        heads: int = 4,
        blocks: int = 2,
        seeds: int = 1,
        inducing: int = 0,
        masked: bool = False,
    ) -> None:
        super().__init__()
        self.features, self.masked = features, masked

        def block() -> Conditioner:
            if inducing:
                return InducedAttention(hidden, hidden, inducing, heads, masked)
            return _attention_block(hidden, heads, hidden, masked)

        self.embedding = Conv(features, hidden, 1, ndims=1)
        self.blocks = nn.ModuleList(block() for _ in range(blocks))
        self.seeds = parameter(hidden, seeds)
        self.pooling = _attention_block(hidden, heads, hidden, masked)
        self.head = Dense(hidden * seeds + 1, out_channels)

    def _value(self, x: Tensor, context: Any) -> Tensor:
        elements, mask = _elements(self, x, self.features, self.masked)

        def seen(h: Tensor) -> Tensor:
            return torch.cat([h, mask], 1) if self.masked else h

        h = self.embedding(elements)
        for block in self.blocks:
            h = block(h, seen(h))
        gathered = self.pooling(self.seeds.expand(len(x), *self.seeds.shape), seen(h))
        return self.head(torch.cat([gathered.flatten(1), mask.sum(2).log()], 1))


def _attention_block(channels: int, heads: int, context_channels: int, masked: bool) -> Chain:
    """norm(h + W₂ relu(W₁ h)) with h = norm(x + attention(x))."""
    ends = [Conv(channels, channels, 1, ndims=1) for _ in range(2)]
    attention = MultiHeadAttention(channels, heads, context_channels, masked)
    network = Chain([ends[0], ActivationLayer(Relu()), ends[1]])
    return Chain(
        [
            SkipConnection(attention, "add"),
            LayerNorm(channels),
            SkipConnection(network, "add"),
            LayerNorm(channels),
        ]
    )


def _elements(module: Conditioner, x: Tensor, features: int, masked: bool) -> tuple[Tensor, Tensor]:
    """The elements as [N, features, M], and ones where they are there, [N, 1, M]."""
    if x.dim() != 3 or x.shape[2] != features + masked:
        raise ShapeError(
            f"{type(module).__name__}: got {list(x.shape)}; expected sets [N, elements, "
            f"{features + masked}]."
        )
    if not masked:
        return x.transpose(1, 2), x.new_ones(len(x), 1, x.shape[1])
    mask = _marked(x[:, :, -1]).unsqueeze(1)
    if not mask.any(2).all():
        raise ArgumentError(f"{type(module).__name__}: a set is empty; expected elements in each.")
    return x[:, :, :-1].transpose(1, 2), mask


def _marked(mask: Tensor) -> Tensor:
    """1 where a mask is above ½, else 0."""
    return (mask > 0.5).to(mask.dtype)
