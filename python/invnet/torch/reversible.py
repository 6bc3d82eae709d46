"""Invertible U-Nets, and reversible residual networks."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .chains import ActivationLayer, Chain, Conv, Dense, GlobalAveragePool
from .combinators import Composite, FirstHalf, Reversed, Sequential
from .conditioners import AsConditioner, BatchNorm, made_conditioner, supplied
from .core import Bijection, Conditioner, halves_of, require_count
from .elementwise import Relu
from .linear import Orthogonal
from .squeezes import ShuffleSqueeze
from .transformer_couplings import TwoSidedCoupling
from .transformers import AdditiveTransformer, Transformer


class LearnedSqueeze(Composite):
    """y = exp(a − aᵀ) S x: positions of each cell become channels, which a rotation mixes."""

    def __init__(self, channels: int, ndims: int = 2) -> None:
        super().__init__()
        self.mix = Orthogonal(channels * 2**ndims)

    @property
    def whole(self) -> Bijection:
        return Sequential([ShuffleSqueeze(order="channel"), self.mix])


class InvertibleUNet(Composite):
    """Couplings, then half of the channels on half of the resolution and back, then couplings."""

    def __init__(
        self,
        channels: int,
        levels: int = 3,
        steps: int = 2,
        hidden: int = 64,
        ndims: int = 2,
        transformer: Transformer | None = None,
        conditioner: Any = None,
    ) -> None:
        super().__init__()
        require_count("levels", levels, 16)
        require_count("steps", steps)
        f = AdditiveTransformer() if transformer is None else transformer
        sizes = {"given": supplied(conditioner), "ndims": ndims, "hidden": hidden}

        def coupling(width: int) -> Bijection:
            first, second = halves_of(width)
            pair = (
                made_conditioner(in_channels=second, out_channels=f.size * first, **sizes),
                made_conditioner(in_channels=first, out_channels=f.size * second, **sizes),
            )
            return TwoSidedCoupling(width, pair, f)

        self.levels: Any = nn.ModuleList()
        width = channels
        for level in range(levels):
            parts: dict[str, Bijection] = {}
            parts["down"] = Sequential([coupling(width) for _ in range(steps)])
            if level + 1 < levels:
                below = (width + 1) // 2
                parts["squeeze"] = LearnedSqueeze(below, ndims)
                parts["up"] = Sequential([coupling(width) for _ in range(steps)])
                width = below * 2**ndims
            self.levels.append(nn.ModuleDict(parts))

    @property
    def whole(self) -> Bijection:
        *others, last = self.levels
        network = last["down"]
        for level in reversed(others):
            squeeze = level["squeeze"]
            inside = FirstHalf(Sequential([squeeze, network, Reversed(squeeze)]))
            network = Sequential([level["down"], inside, level["up"]])
        return network


class RevNet(Conditioner):
    """Images to a number for each class: reversible residual blocks at several resolutions."""

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 32,
        blocks: tuple[int, ...] = (3, 3, 3),
        ndims: int = 2,
    ) -> None:
        super().__init__()

        def residual(half: int) -> Conditioner:
            units = [
                (BatchNorm(half), ActivationLayer(Relu()), Conv(half, half, ndims=ndims))
                for _ in range(2)
            ]
            return Chain([part for unit in units for part in unit])

        def block(wide: int) -> Bijection:
            pair = (residual(wide // 2), residual(wide // 2))
            return TwoSidedCoupling(wide, pair, AdditiveTransformer())

        layers: list[Conditioner] = []
        before, wide = channels, width
        for i, count in enumerate(blocks):
            require_count("blocks", count)
            layers.append(Conv(before, wide, 3, 2 if i else 1, ndims))
            layers.append(AsConditioner(Sequential([block(wide) for _ in range(count)])))
            before, wide = wide, 2 * wide
        ends = [BatchNorm(before), ActivationLayer(Relu()), GlobalAveragePool()]
        self.inner = Chain([*layers, *ends, Dense(before, classes)])

    def _value(self, x: Tensor, context: Any) -> Tensor:
        return self.inner(x)
