"""Couplings and other maps whose transformers have parameters from a conditioner."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError, ShapeError
from .combinators import Composite, Reversed, Sequential
from .conditioners import ScaledConditioner
from .core import Bijection, Conditioner, halves_of, require_channels, run
from .elementwise import Exp, ExpClamp, ShiftedSigmoid, SoftplusScale
from .linear import Householder, inverse_order
from .random_numbers import random_order
from .transformers import (
    AdditiveTransformer,
    AffineTransformer,
    ElementwiseTransform,
    Moved,
    Transformer,
    VolumePreservingTransformer,
    parameters_for,
    require_transformer,
)


class TransformerCoupling(Bijection):
    """y₁ = x₁, y₂ = f(x₂; p) with p = g(x₁, context); logdet = Σ log ∂f/∂x₂.

    ``split`` has the channels of both parts, or in ``first`` the list of those of the first.
    """

    def __init__(
        self,
        channels: int,
        transformer: Transformer,
        conditioner: Conditioner,
        split: Any = None,
        moves: str = "second",
    ) -> None:
        super().__init__()
        if moves not in ("first", "second"):
            raise ArgumentError(f"moves is {moves!r}, which is not known")
        self.channels, self.moves = channels, moves
        self.transformer = require_transformer(transformer)
        self.conditioner = conditioner
        self._order, self._sizes = _parts(channels, split)

    def _map(self, x: Tensor, context: Tensor | None) -> Moved:
        still, moved, p = self._parted(x, context)
        y, logdet = self.transformer(moved, p)
        return self._joined(still, y), logdet

    def _map_back(self, y: Tensor, context: Tensor | None) -> Moved:
        still, moved, p = self._parted(y, context)
        x, logdet = self.transformer.inverse(moved, p)
        return self._joined(still, x), logdet

    def _parted(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The part that stays, the one that is moved, and its parameters."""
        require_channels(self, x, self.channels)
        first, second = x[:, self._order].split(self._sizes, 1)
        still, moved = (first, second) if self.moves == "second" else (second, first)
        given = run(self.conditioner, still, context)
        return still, moved, parameters_for(self, self.transformer, given, moved)

    def _joined(self, still: Tensor, moved: Tensor) -> Tensor:
        parts = [still, moved] if self.moves == "second" else [moved, still]
        return torch.cat(parts, 1)[:, inverse_order(self._order)]


class TwoSidedCoupling(Composite):
    """y₁ = f(x₁; g₁(x₂, context)), then y₂ = f(x₂; g₂(y₁, context)); logdet is the sum."""

    def __init__(
        self,
        channels: int,
        conditioner: tuple[Conditioner, Conditioner],
        transformer: Transformer | None = None,
        split: Any = None,
    ) -> None:
        super().__init__()
        f = AffineTransformer() if transformer is None else transformer
        first, second = conditioner
        self.first = TransformerCoupling(channels, f, first, split, "first")
        self.second = TransformerCoupling(channels, f, second, split)

    @property
    def whole(self) -> Bijection:
        return Sequential([self.first, self.second])


class MaskedCoupling(Bijection):
    """y = m ⊙ x + (1 − m) ⊙ f(x; p) with p = g(m ⊙ x, context), m of zeros and ones.

    The mask is a ``checkerboard``, which stays where indices add up to an even number, or has a
    ``shape``, of a sample or of its channels, and ``stays`` row by row, or a ``seed`` that draws
    the half that stays.
    """

    def __init__(
        self,
        channels: int,
        conditioner: Conditioner,
        mask: Any = "checkerboard",
        inverted: bool = False,
        transformer: Transformer | None = None,
    ) -> None:
        super().__init__()
        f = AffineTransformer() if transformer is None else transformer
        self.channels, self.inverted = channels, inverted
        self.transformer = require_transformer(f, pointwise=True)
        self.conditioner = conditioner
        self._mask = None if mask == "checkerboard" else _mask_of(mask, channels)

    def _map(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Any]:
        return self._move(self.transformer.forward, x, context)

    def _map_back(self, y: Tensor, context: Tensor | None) -> tuple[Tensor, Any]:
        return self._move(self.transformer.inverse, y, context)

    def _move(self, f: Any, x: Tensor, context: Tensor | None) -> tuple[Tensor, Any]:
        stays = self._stays(x)
        given = run(self.conditioner, x * stays, context)
        p = parameters_for(self, self.transformer, given, x)
        moves = 1 - stays
        y, logdet = f(x * moves, p * moves.repeat(1, self.transformer.size, *[1] * (x.dim() - 2)))
        if logdet is not None:
            # Numbers that stay went through it as zeros, with parameters of zero.
            zero = x.new_zeros(1, 1)
            still = f(zero, zero.expand(1, self.transformer.size))[1]
            logdet = logdet - still * stays[0].sum()
        return x * stays + y * moves, logdet

    def _stays(self, x: Tensor) -> Tensor:
        """Ones where numbers stay, [1, C, ...]."""
        require_channels(self, x, self.channels)
        if self._mask is None:
            axes = [torch.arange(s, device=x.device) for s in x.shape[2:]]
            if x.shape[2:].numel() < 2 or not axes:
                raise ShapeError(
                    f"MaskedCoupling: got {list(x.shape)}; expected several positions."
                )
            even = 1 - sum(torch.meshgrid(*axes, indexing="ij")) % 2
            stays = even.to(x.dtype).expand(1, self.channels, *x.shape[2:])
        else:
            mask = self._mask.to(x)
            if mask.dim() == 1:
                mask = mask.reshape(-1, *[1] * (x.dim() - 2)).expand(x.shape[1:])
            if mask.shape != x.shape[1:]:
                raise ShapeError(
                    f"MaskedCoupling: got samples of {list(x.shape[1:])}; expected "
                    f"{list(mask.shape)}."
                )
            stays = mask.unsqueeze(0)
        return 1 - stays if self.inverted else stays


class ConditionalTransform(Bijection):
    """y = f(x; p) number by number, with p = g(context); logdet = Σ log ∂f/∂x."""

    uses_context = True

    def __init__(self, channels: int, transformer: Transformer, conditioner: Conditioner) -> None:
        super().__init__()
        self.channels = channels
        self.transformer = require_transformer(transformer)
        self.conditioner = conditioner

    def _map(self, x: Tensor, context: Tensor | None) -> Moved:
        return self.transformer(x, self._spread(x, context))

    def _map_back(self, y: Tensor, context: Tensor | None) -> Moved:
        return self.transformer.inverse(y, self._spread(y, context))

    def _spread(self, x: Tensor, context: Tensor | None) -> Tensor:
        require_channels(self, x, self.channels)
        if context is None:
            raise ArgumentError("ConditionalTransform: expected a context, got none.")
        p = self.conditioner(context)
        if p.dim() == 2 < x.dim():
            # Vectors hold at all positions.
            p = p.reshape(*p.shape, *[1] * (x.dim() - 2)).expand(*p.shape, *x.shape[2:])
        return parameters_for(self, self.transformer, p, x)


class AllInOneBlock(Composite):
    """y = R V (Ψ(g) ⊙ C(x) + b): a coupling C, a scale and a shift of each channel, and mixing.

    V are trained reflections and R the ``permutation``; with ``permutes_before`` both are undone
    before the coupling as well, whose log s = clamp·tanh(r/10) and t/10 are of the conditioner's.
    """

    def __init__(
        self,
        channels: int,
        conditioner: Conditioner,
        permutation: Bijection,
        clamp: float = 2,
        volume_preserving: bool = False,
        global_scale: str = "softplus",
        reflections: int = 0,
        permutes_before: bool = False,
    ) -> None:
        super().__init__()
        scale = ExpClamp(clamp, 1)
        f = (
            VolumePreservingTransformer(scale, "sample")
            if volume_preserving
            else AffineTransformer(scale)
        )
        g = ScaledConditioner(conditioner, 0.1)
        still = (channels + 1) // 2
        self.coupling = TransformerCoupling(channels, f, g, (still, channels - still))
        scales = {
            "softplus": SoftplusScale(0.1, 0.5),
            "sigmoid": ShiftedSigmoid(0, 10, -2),
            "exp": Exp(),
        }
        if global_scale not in scales:
            raise ArgumentError(f"globalScale is {global_scale!r}, which is not known")
        own = (
            AdditiveTransformer() if volume_preserving else AffineTransformer(scales[global_scale])
        )
        self.affine = ElementwiseTransform(channels, own)
        if reflections:
            self.reflections = Householder(channels, reflections)
        self.permutation = permutation
        self.permutes_before = permutes_before

    @property
    def whole(self) -> Bijection:
        names = ("reflections", "permutation")
        mixing = [self._modules[name] for name in names if name in self._modules]
        before = [Reversed(f) for f in reversed(mixing)] if self.permutes_before else []
        return Sequential([*before, self.coupling, self.affine, *mixing])


def _parts(channels: int, split: Any) -> tuple[list[int], list[int]]:
    """The channels in the order of both parts, and how many each has."""
    if isinstance(split, dict):
        first = list(split["first"])
        others = [c for c in range(channels) if c not in first]
        sizes = [len(first), len(others)]
        order = first + others
    else:
        sizes = list(halves_of(channels) if split is None else split)
        order = list(range(channels))
    if sorted(order) != list(range(channels)) or sum(sizes) != channels or min(sizes) < 1:
        raise ArgumentError(f"split is {split}; expected two parts of {channels} channels")
    return order, sizes


def _mask_of(mask: dict[str, Any], channels: int) -> Tensor:
    """Ones where numbers stay, of the shape of a sample or [C]."""
    shape = list(mask["shape"])
    size = math.prod(shape)
    if shape[0] != channels:
        raise ArgumentError(f"mask.shape is {shape}; expected {channels} channels")
    stays = torch.zeros(size, dtype=torch.float64)
    if "seed" in mask:
        stays[random_order(mask["seed"], size)[: size // 2]] = 1
    else:
        stays = torch.tensor(mask["stays"], dtype=torch.float64)
    if len(stays) != size or not 0 < stays.sum() < size:
        raise ArgumentError("mask.stays must be a zero or a one for each number, and have both")
    return stays.reshape(shape)
