"""The recursive couplings of HINT, alone and for data beside a condition."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..errors import ArgumentError
from .combinators import ChannelHalves, Composite, Identity, Parallel, Reversed, Sequential, Swapped
from .conditioners import supplied
from .core import Bijection, halves_of
from .couplings import BasicCoupling, RecursiveCoupling
from .linear import Conv1x1


class HintCoupling(Composite):
    """H(x) = (H(x₁), c(x₁, H(x₂))) on the halves of the channels, c an affine coupling."""

    def __init__(
        self,
        channels: int,
        permute: str = "none",
        depth: int | None = None,
        shared: bool = False,
        conditioner: Any = None,
        **affine: Any,
    ) -> None:
        super().__init__()
        affine = {"conditioner": supplied(conditioner), **affine}
        if permute not in ("none", "lower", "both", "full"):
            raise ArgumentError(f"permute is {permute!r}, which is not known")
        levels = channels.bit_length() - 1 if depth is None else depth
        if not 1 <= levels < max(2, channels.bit_length()):
            raise ArgumentError(f"depth is {levels} with {channels} channels; it cannot be halved")
        self.permute = permute
        self.permutation: Bijection
        self.recursion = Recursion(channels, levels, shared, affine)
        if permute == "lower":
            self.permutation = SecondHalfMixing(halves_of(channels))
        elif permute != "none":
            self.permutation = Conv1x1(channels)

    @property
    def whole(self) -> Bijection:
        if self.permute == "none":
            return self.recursion
        back = [Reversed(self.permutation)] if self.permute == "both" else []
        return Sequential([self.permutation, self.recursion, *back])


class Recursion(Composite):
    """H, with the couplings of its levels where nodes share them."""

    def __init__(self, channels: int, depth: int, shared: bool, affine: dict[str, Any]) -> None:
        super().__init__()
        if shared:
            widths = [halves_of(channels // 2**i) for i in range(depth)]
            levels = [BasicCoupling(width, **affine) for width in widths]
            self.levels = nn.ModuleList(levels)

        def node(width: int, level: int) -> Bijection:
            halves = halves_of(width)
            coupling = levels[level] if shared else BasicCoupling(halves, **affine)
            if level + 1 == depth:
                return ChannelHalves(LastNode(coupling), halves)
            first, second = node(halves[0], level + 1), node(halves[1], level + 1)
            return ChannelHalves(RecursiveCoupling(first, second, coupling), halves)

        self.inner = node(channels, 0)

    @property
    def whole(self) -> Bijection:
        return self.inner


class LastNode(Composite):
    """A node of the recursion without any inside it."""

    def __init__(self, coupling: BasicCoupling) -> None:
        super().__init__()
        self.coupling = coupling

    @property
    def whole(self) -> Bijection:
        return self.coupling


class SecondHalfMixing(Composite):
    """A 1×1 convolution on the second half of the channels."""

    def __init__(self, halves: tuple[int, int]) -> None:
        super().__init__()
        self.halves = halves
        self.inner = Conv1x1(halves[1])

    @property
    def whole(self) -> Bijection:
        return ChannelHalves(Parallel({"first": Identity(), "second": self.inner}), self.halves)


class ConditionalHintCoupling(Composite):
    """(x, y) ↦ (c(y, H(W x)), H′(V y)): a HINT recursion on each lane, and a coupling between."""

    def __init__(
        self,
        channels: int,
        condition_channels: int | None = None,
        permute: bool = True,
        depth: int | None = None,
        shared: bool = False,
        conditioner: Any = None,
        **affine: Any,
    ) -> None:
        super().__init__()
        affine = {"conditioner": supplied(conditioner), **affine}
        condition = channels if condition_channels is None else condition_channels
        mixing = "full" if permute else "none"
        self.lane = HintCoupling(condition, mixing, depth, shared, **affine)
        self.data = HintCoupling(channels, mixing, depth, shared, **affine)
        self.coupling = BasicCoupling((condition, channels), **affine)

    @property
    def whole(self) -> Bijection:
        return Swapped(RecursiveCoupling(self.lane, self.data, self.coupling))
