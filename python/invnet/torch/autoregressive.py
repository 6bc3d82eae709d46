"""Autoregressive maps of vectors: each channel moves by what those before it say."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ArgumentError
from .core import Bijection, Conditioner, require_shape, run
from .elementwise import Activation, Relu
from .linear import inverse_order, require_order
from .transformers import AffineTransformer, Moved, Transformer, require_transformer
from .tree import parameter


class MadeBlock(Conditioner):
    """A masked dense network on vectors [N, D], which gives ``size`` numbers for each channel.

    What it gives for a channel depends on those before it in an order, or on its parents in a
    graph, and on a context, which is ``joined`` to the channels or ``added`` behind a layer of its
    own. Channels stand in the order of evaluation within. The masks are of the file.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        hidden: list[int],
        context_channels: int = 0,
        blocks: str = "plain",
        activation: Activation | None = None,
        context: str = "joined",
        order: list[int] | None = None,
        passes: int | None = None,
        adjacency: list[list[bool]] | None = None,
    ) -> None:
        super().__init__()
        if blocks not in ("plain", "residual", "preactivated") or context not in _CONTEXTS:
            raise ArgumentError(f"blocks is {blocks!r} and context {context!r}; one is not known")
        self.channels, self.size = channels, size
        self.context_channels, self.joined = context_channels, context == "joined"
        self.blocks = blocks
        self.activation = Relu() if activation is None else activation
        self.order = list(range(channels)) if order is None else order
        self.passes = channels
        if adjacency is not None:
            self.order, self.passes = _sorted(adjacency)
        require_order("order", self.order, channels)
        plain = blocks == "plain"
        widths = hidden if plain else [hidden[0], *(w for w in hidden for _ in range(2))]
        self.depth = len(widths)
        seen = channels + (context_channels if self.joined else 0)
        for i, (before, width) in enumerate(zip([seen, *widths], [*widths, channels], strict=True)):
            rows = width * size if i == self.depth else width
            self.register_parameter(f"w{i}", parameter(rows, before))
            self.register_parameter(f"b{i}", parameter(rows))
            self.register_buffer(f"mask{i}", torch.empty(width, before, device="meta"))
        self.entries = 0
        if context_channels and not self.joined:
            self.entries = 1 if plain else 1 + len(hidden)
        for j in range(self.entries):
            self.register_parameter(f"v{j}", parameter(hidden[0], context_channels))
            self.register_parameter(f"c{j}", parameter(hidden[0]))

    @property
    def uses_context(self) -> bool:  # type: ignore[override]
        """Has it channels of one?"""
        return self.context_channels > 0

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        require_shape(self, "a sample", x[:1], (1, self.channels))
        v = x[:, self.order]
        added: list[Any] = [0] * (self.depth + 1)
        if self.uses_context:
            if context is None:
                raise ArgumentError("MadeBlock: expected a context, got none.")
            require_shape(self, "the context", context, (len(x), self.context_channels))
            if self.joined:
                v = torch.cat([v, context], 1)
            for j in range(self.entries):
                share = functional.linear(context, self._of(f"v{j}"), self._of(f"c{j}"))
                added[max(0, 2 * j - 1)] = share if j else self.activation(share)
        sums: list[Tensor] = []
        for i in range(self.depth + 1):
            z = functional.linear(v, self._masked(i), self._of(f"b{i}")) + added[i]
            if self.blocks != "plain" and i % 2 == 0 and 2 <= i < self.depth:
                z = z + sums[i - 2]
            sums.append(z)
            v = z if self._is_linear(i) else self.activation(z)
        return sums[-1].reshape(-1, self.channels)[:, inverse_order(self.order)].reshape(len(x), -1)

    def _masked(self, i: int) -> Tensor:
        w, mask = self._of(f"w{i}"), self._of(f"mask{i}")
        return (w.reshape(-1, *mask.shape) * mask).reshape(w.shape)

    def _is_linear(self, i: int) -> bool:
        """Has a layer no activation behind it?"""
        if self.blocks == "plain":
            return False
        return i == self.depth - 1 or (self.blocks == "residual" and i % 2 == 0)

    def _of(self, name: str) -> Tensor:
        return getattr(self, name)


class Autoregressive(Bijection):
    """yᵢ = T(xᵢ; pᵢ) on vectors with parameters of the channels before; logdet = Σ log T′.

    The inverse takes as many passes of the conditioner as channels stand one after another.
    """

    def __init__(self, conditioner: MadeBlock, transformer: Transformer | None = None) -> None:
        super().__init__()
        f = AffineTransformer() if transformer is None else transformer
        self.transformer = require_transformer(f, pointwise=True)
        self.conditioner = conditioner
        if conditioner.size != f.size:
            raise ArgumentError(f"the conditioner gives {conditioner.size} numbers, not {f.size}")

    def _map(self, x: Tensor, context: Tensor | None) -> Moved:
        return self.transformer(x, run(self.conditioner, x, context))

    def _map_back(self, y: Tensor, context: Tensor | None) -> Moved:
        x, logdet = torch.zeros_like(y), None
        for _ in range(self.conditioner.passes):
            # In each pass more channels are right.
            x, logdet = self.transformer.inverse(y, run(self.conditioner, x, context))
        return x, logdet


_CONTEXTS = ("joined", "added")


def _sorted(adjacency: list[list[bool]]) -> tuple[list[int], int]:
    """The channels, each behind its parents, and how many passes that makes."""
    left, order, passes = list(range(len(adjacency))), [], 0
    while left:
        ready = [i for i in left if not any(adjacency[i][j] for j in left if j != i)]
        if not ready:
            raise ArgumentError("adjacency has a cycle")
        order += ready
        left = [i for i in left if i not in ready]
        passes += 1
    return order, passes
