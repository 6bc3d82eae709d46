"""Whole networks: several scales, conditions, and steps of a wave equation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..errors import ArgumentError
from .chains import Conv, Dense
from .combinators import Composite, FirstHalf, Identity, Parallel, Reversed, Sequential
from .conditioners import AsConditioner, supplied
from .core import Bijection, Conditioner, require_count, run, run_back
from .couplings import ConditionalGlowCoupling, GlowCoupling, HyperbolicLayer, channels_after
from .elementwise import Activation, Exp
from .hint import ConditionalHintCoupling, HintCoupling
from .linear import ActNorm, Conv1x1
from .squeezes import HaarSqueeze, ShuffleSqueeze
from .transformer_couplings import ConditionalTransform, TransformerCoupling
from .transformers import AffineTransformer, ElementwiseTransform
from .tree import Module


class LearnedPrior(Module):
    """Makes the maps that give a scale's latents means and deviations, of a class or of places."""

    def __init__(
        self, classes: int | None = None, size: list[int] | None = None
    ) -> None:
        super().__init__()
        self.classes, self.size = classes, size

    def at(self, widths: list[int], ndims: int, last: bool) -> Bijection:
        """The map of a scale's channels: those of the first half go on but at the last."""
        channels, normal = widths[0], AffineTransformer(Exp())
        if last:
            own = Reversed(ElementwiseTransform(channels, normal, self.size))
            if self.classes is None:
                return own
            g = Dense(self.classes, 2 * channels)
            of_class = Reversed(ConditionalTransform(channels, normal, g))
            return of_class if self.size is None else Sequential([own, of_class])
        still = (channels + 1) // 2
        sizes = (still, 2 * (channels - still))
        conditioner = Dense(*sizes) if ndims == 0 else Conv(*sizes, ndims=ndims)
        split = (still, channels - still)
        return Reversed(TransformerCoupling(channels, normal, conditioner, split))


class MultiScale(Composite):
    """Per scale a squeeze and K steps, then the scales inside it on the first half of the channels.

    As a type of its own, ``step(channels, scale)`` and ``around(network, scale)`` are functions
    that the file knows by name: they make and wrap bijections of this package. Where there is a
    ``conditioner``, ``step`` gets what makes the couplings' conditioners as its last argument.
    """

    def __init__(
        self,
        channels: list[int],
        squeeze: Bijection,
        step: Callable[..., Bijection],
        scales: int = 2,
        steps: int = 8,
        ndims: int = 2,
        split_scales: bool = True,
        around: Callable[[Bijection, int], Bijection] | None = None,
        conditioner: Any = None,
        prior: LearnedPrior | None = None,
    ) -> None:
        super().__init__()
        require_count("scales", scales, 16)
        require_count("steps", steps)
        self.ndims, self.split_scales = ndims, split_scales
        self._wrap = around
        self.squeeze = squeeze
        self.scales: Any = nn.ModuleList()
        more = () if conditioner is None else (supplied(conditioner),)
        bands, widths = 2**ndims, [c * 2**ndims for c in channels]
        for scale in range(scales):
            flow = Sequential([step(widths, scale, *more) for _ in range(steps)])
            made: dict[str, nn.Module] = {"steps": flow}
            last = scale == scales - 1
            if prior is not None and (last or split_scales):
                made["prior"] = prior.at(widths, ndims, last)
            self.scales.append(nn.ModuleDict(made))
            kept = [(c + 1) // 2 if split_scales else c for c in widths]
            widths = [c * bands for c in kept]

    @property
    def whole(self) -> Bijection:
        network: Bijection | None = None
        for scale in reversed(range(len(self.scales))):
            flow = list(self.scales[scale].values())
            if network is not None:
                flow.append(FirstHalf(network) if self.split_scales else network)
            if self.ndims > 0:
                flow = [self.squeeze, *flow, Reversed(self.squeeze)]
            network = self._around(Sequential(flow), scale)
        return network  # type: ignore[return-value]

    def _around(self, network: Bijection, scale: int) -> Bijection:
        return network if self._wrap is None else self._wrap(network, scale)


class Glow(MultiScale):
    """Per scale a squeeze, then K × (ActNorm, Conv1x1, GlowCoupling)."""

    def __init__(
        self,
        channels: int,
        squeeze: Bijection | None = None,
        frozen_conv1x1: bool = False,
        actnorm: bool = True,
        hidden: int = 64,
        ndims: int = 2,
        scale_function: Activation | None = None,
        **sizes: Any,
    ) -> None:
        affine: Any = {"hidden": hidden, "ndims": ndims, "scale_function": scale_function}

        def step(widths: list[int], scale: int, conditioner: Any = None) -> Bijection:
            coupling = GlowCoupling(widths[0], conditioner=conditioner, **affine)
            return _glow_step(widths[0], coupling, actnorm, frozen_conv1x1)

        chosen = ShuffleSqueeze() if squeeze is None else squeeze
        super().__init__([channels], chosen, step, ndims=ndims, **sizes)


class ConditionalGlow(MultiScale):
    """As `Glow`, with a context that is normalized, and squeezed along with the data."""

    def __init__(
        self,
        channels: int,
        context_channels: int,
        squeeze: Bijection | None = None,
        frozen_conv1x1: bool = False,
        actnorm: bool = True,
        hidden: int = 64,
        ndims: int = 2,
        scale_function: Activation | None = None,
        **sizes: Any,
    ) -> None:
        affine: Any = {"hidden": hidden, "ndims": ndims, "scale_function": scale_function}

        def step(widths: list[int], scale: int, conditioner: Any = None) -> Bijection:
            context = context_channels * 2 ** (ndims * (scale + 1))
            made = {"conditioner": conditioner, **affine}
            coupling = ConditionalGlowCoupling(widths[0], context, **made)
            return _glow_step(widths[0], coupling, actnorm, frozen_conv1x1)

        chosen = ShuffleSqueeze() if squeeze is None else squeeze
        super().__init__([channels], chosen, step, ndims=ndims, **sizes)
        self.context = ActNorm(context_channels) if actnorm else Identity()

    @property
    def whole(self) -> Bijection:
        return SummarizedNetwork(super().whole, AsConditioner(self.context))

    def _around(self, network: Bijection, scale: int) -> Bijection:
        if self.ndims == 0:
            return network
        return SummarizedNetwork(network, AsConditioner(self.squeeze))


class MultiScaleHint(MultiScale):
    """Per scale a squeeze, then K × (ActNorm, HintCoupling)."""

    def __init__(
        self,
        channels: int,
        squeeze: Bijection | None = None,
        actnorm: bool = True,
        permute: str = "full",
        scales: int = 2,
        steps: int = 8,
        ndims: int = 2,
        split_scales: bool = True,
        conditioner: Any = None,
        prior: LearnedPrior | None = None,
        **hint: Any,
    ) -> None:
        hint = {"ndims": ndims, "conditioner": supplied(conditioner), **hint}

        def step(channels: list[int], scale: int) -> Bijection:
            return _step(
                actnorm=ActNorm(channels[0]) if actnorm else None,
                coupling=HintCoupling(channels[0], permute, **hint),
            )

        chosen = HaarSqueeze() if squeeze is None else squeeze
        super().__init__(
            [channels], chosen, step, scales, steps, ndims, split_scales, prior=prior
        )


class ConditionalHint(Composite):
    """(x, y) ↦ (zₓ, z_y): K × (ActNorm on each lane, ConditionalHintCoupling)."""

    def __init__(
        self,
        channels: int,
        condition_channels: int | None = None,
        steps: int = 8,
        conditioner: Any = None,
        **options: Any,
    ) -> None:
        super().__init__()
        require_count("steps", steps)
        options = {"conditioner": supplied(conditioner), **options}
        condition = channels if condition_channels is None else condition_channels
        made = [_conditional_step(channels, condition, **options) for _ in range(steps)]
        self.steps = Sequential(made)

    @property
    def lane(self) -> Bijection:
        """The condition's lane alone, y ↦ z_y: beside it, x is sampled for a given y."""
        return _lane_of(self.steps)

    @property
    def whole(self) -> Bijection:
        return self.steps


class MultiScaleConditionalHint(MultiScale):
    """As `ConditionalHint` on each of L scales; both lanes are squeezed and split alike."""

    def __init__(
        self,
        channels: int,
        condition_channels: int | None = None,
        squeeze: Bijection | None = None,
        scales: int = 2,
        steps: int = 8,
        ndims: int = 2,
        split_scales: bool = True,
        conditioner: Any = None,
        **options: Any,
    ) -> None:
        options = {"ndims": ndims, "conditioner": supplied(conditioner), **options}

        def step(widths: list[int], scale: int) -> Bijection:
            return _conditional_step(widths[0], widths[1], **options)

        condition = channels if condition_channels is None else condition_channels
        chosen = HaarSqueeze() if squeeze is None else squeeze
        both = Parallel({"first": chosen, "second": chosen})
        super().__init__([channels, condition], both, step, scales, steps, ndims, split_scales)

    @property
    def lane(self) -> Bijection:
        """As that of `ConditionalHint`."""
        network: Bijection | None = None
        for scale in reversed(self.scales):
            flow = [_lane_of(scale["steps"])]
            if network is not None:
                flow.append(FirstHalf(network) if self.split_scales else network)
            if self.ndims > 0:
                second = _lane_of(self.squeeze)
                flow = [second, *flow, Reversed(second)]
            network = Sequential(flow)
        return network  # type: ignore[return-value]


class HyperbolicNetwork(Composite):
    """Leapfrog steps of a non-linear wave equation on a pair of states; logdet = 0."""

    def __init__(
        self,
        channels: int,
        architecture: list[dict[str, Any]],
        ndims: int = 2,
        kernel: int = 3,
        step_size: float = 1,
        conditioner: Any = None,
    ) -> None:
        super().__init__()
        make = supplied(conditioner)
        layers = []
        for stage in architecture:
            hidden, resolution = stage.get("hidden"), stage.get("resolution", "keep")
            sizes = (channels, hidden, ndims, kernel, resolution, step_size)
            layers.append(HyperbolicLayer(*sizes, conditioner=make))
            channels = channels_after(channels, resolution, ndims)
        self.inner = Sequential(layers)

    @property
    def whole(self) -> Bijection:
        return self.inner


class SummarizedNetwork(Bijection):
    """x ↦ f(x, h(context)) with a summary network h."""

    uses_context = True

    def __init__(self, network: Bijection, summary: Conditioner) -> None:
        super().__init__()
        self.network, self.summary = network, summary

    @property
    def state_size(self) -> int:  # type: ignore[override]
        return self.network.state_size

    def _map(self, x: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        return run(self.network, x, self._summary(context))

    def _map_back(self, y: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        return run_back(self.network, y, self._summary(context))

    def _summary(self, context: Tensor | None) -> Tensor:
        if context is None:
            raise ArgumentError("SummarizedNetwork: expected a context, got none.")
        return self.summary(context)

    def output_shape(self, x: Any) -> Any:
        return self.network.output_shape(x)

    def input_shape(self, y: Any) -> Any:
        return self.network.input_shape(y)


def _step(**layers: Bijection | None) -> Sequential:
    there = {name: layer for name, layer in layers.items() if layer is not None}
    return Sequential(there.values(), there.keys())


def _glow_step(channels: int, coupling: Bijection, actnorm: bool, frozen: bool) -> Sequential:
    return _step(
        actnorm=ActNorm(channels) if actnorm else None,
        conv1x1=Conv1x1(channels, frozen=frozen),
        coupling=coupling,
    )


def _conditional_step(
    channels: int, condition_channels: int, actnorm: bool = True, **coupling: Any
) -> Bijection:
    norms = {"data": ActNorm(channels), "condition": ActNorm(condition_channels)}
    return _step(
        actnorm=Parallel(norms) if actnorm else None,
        coupling=ConditionalHintCoupling(channels, condition_channels, **coupling),
    )


def _lane_of(step: nn.Module) -> Bijection:
    """The part of a step that is on the condition's lane."""
    if isinstance(step, Sequential):
        return Sequential([_lane_of(layer) for layer in step.layers])
    if isinstance(step, ConditionalHintCoupling):
        return step.lane
    if isinstance(step, Parallel):
        return step.maps[1]
    raise ArgumentError(f"lane: {type(step).__name__} does not tell the condition apart.")
