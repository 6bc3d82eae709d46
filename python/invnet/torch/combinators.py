"""Bijections that are made of others, and what changes the layout of a state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError, ShapeError
from .core import Bijection, Shape, State, require_channels, require_shape, run, run_back

Pair = tuple[Tensor, Tensor]


class Identity(Bijection):
    """y = x; logdet = 0."""

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, None]:
        return x, None

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, None]:
        return y, None


class Composite(Bijection):
    """A bijection that computes what `whole` does, a composition of its parts."""

    @property
    def whole(self) -> Bijection:
        raise NotImplementedError

    @property
    def state_size(self) -> int:  # type: ignore[override]
        return self.whole.state_size

    def _map(self, x: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        return run(self.whole, x, context)

    def _map_back(self, y: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        return run_back(self.whole, y, context)

    def output_shape(self, x: Shape) -> Shape:
        return self.whole.output_shape(x)

    def input_shape(self, y: Shape) -> Shape:
        return self.whole.input_shape(y)


class Sequential(Bijection):
    """y = f_k(… f₂(f₁(x))), the log-determinants added; layers by name, or by position."""

    _transparent = ()

    def __init__(self, layers: Iterable[Bijection], names: Iterable[str] | None = None) -> None:
        super().__init__()
        layers = list(layers)
        names = [str(i) for i in range(len(layers))] if names is None else list(names)
        if not layers or len(set(names)) != len(layers):
            raise ArgumentError("expected at least one layer, and a name of its own for each")
        # Not by attribute: a layer may be called as something that torch's modules have.
        self._modules.update(zip(names, layers, strict=True))

    @property
    def layers(self) -> list[Any]:
        """In the order of application."""
        return list(self._modules.values())

    @property
    def state_size(self) -> int:  # type: ignore[override]
        return self.layers[0].state_size

    def _map(self, x: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        return _through(self.layers, run, x, context)

    def _map_back(self, y: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        return _through(reversed(self.layers), run_back, y, context)

    def output_shape(self, x: Shape) -> Shape:
        for layer in self.layers:
            x = layer.output_shape(x)
        return x

    def input_shape(self, y: Shape) -> Shape:
        for layer in reversed(self.layers):
            y = layer.input_shape(y)
        return y


class Reversed(Bijection):
    """The bijection whose forward is another's inverse."""

    def __init__(self, inner: Bijection) -> None:
        super().__init__()
        self.inner = inner

    @property
    def state_size(self) -> int:  # type: ignore[override]
        return self.inner.state_size

    def _map(self, x: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        return run_back(self.inner, x, context)

    def _map_back(self, y: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        return run(self.inner, y, context)

    def output_shape(self, x: Shape) -> Shape:
        return self.inner.input_shape(x)

    def input_shape(self, y: Shape) -> Shape:
        return self.inner.output_shape(y)


class FirstHalf(Bijection):
    """y = (f(x₁), x₂), x₁ being the first ⌈C/2⌉ channels; of a pair, of each tensor."""

    def __init__(self, inner: Bijection) -> None:
        super().__init__()
        self.inner = inner

    @property
    def state_size(self) -> int:  # type: ignore[override]
        return self.inner.state_size

    def _map(self, x: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        return self._around(run, x, context)

    def _map_back(self, y: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        return self._around(run_back, y, context)

    def _around(self, move: Any, state: State, context: Tensor | None) -> tuple[Any, Tensor]:
        if isinstance(state, Tensor):
            first, rest = _parted(state)
            moved, logdet = move(self.inner, first, context)
            return torch.cat([moved, rest], 1), logdet
        (a, rest_a), (b, rest_b) = map(_parted, state)
        (a, b), logdet = move(self.inner, (a, b), context)
        return (torch.cat([a, rest_a], 1), torch.cat([b, rest_b], 1)), logdet


class Parallel(Bijection):
    """(x₁, x₂) ↦ (f(x₁), g(x₂)); log-determinants add up."""

    _transparent = ()
    state_size = 2

    def __init__(self, maps: Mapping[str, Bijection]) -> None:
        super().__init__()
        if len(maps) != 2:
            raise ArgumentError(f"got {len(maps)} maps; expected two")
        self._modules.update(maps)

    @property
    def maps(self) -> list[Any]:
        """The two of them."""
        return list(self._modules.values())

    def _map(self, x: Pair, context: Tensor | None) -> tuple[Pair, Tensor]:
        return self._each(run, x, context)

    def _map_back(self, y: Pair, context: Tensor | None) -> tuple[Pair, Tensor]:
        return self._each(run_back, y, context)

    def _each(self, move: Any, state: Pair, context: Tensor | None) -> tuple[Pair, Tensor]:
        (a, la), (b, lb) = (
            move(f, part, context) for f, part in zip(self.maps, state, strict=True)
        )
        return (a, b), la + lb

    def output_shape(self, x: Shape) -> Shape:
        return tuple(f.output_shape(part) for f, part in zip(self.maps, x, strict=True))

    def input_shape(self, y: Shape) -> Shape:
        return tuple(f.input_shape(part) for f, part in zip(self.maps, y, strict=True))


class Rearranged(Bijection):
    """A map of one kind of state as one of another: subclasses say how the state is laid out."""

    def __init__(self, inner: Bijection) -> None:
        super().__init__()
        self.inner = inner

    def _enter(self, state: Any, side: str) -> Any:
        raise NotImplementedError

    def _leave(self, state: Any) -> Any:
        raise NotImplementedError

    def _map(self, x: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        y, logdet = run(self.inner, self._enter(x, "input"), context)
        return self._leave(y), logdet

    def _map_back(self, y: Any, context: Tensor | None) -> tuple[Any, Tensor]:
        x, logdet = run_back(self.inner, self._enter(y, "output"), context)
        return self._leave(x), logdet


class ChannelHalves(Rearranged):
    """y = f(x₁, x₂) for x = (x₁, x₂) along channels."""

    def __init__(self, inner: Bijection, channels: tuple[int, int]) -> None:
        super().__init__(inner)
        self.channels = list(channels)

    def _enter(self, state: Tensor, side: str) -> Any:
        require_channels(self, state, sum(self.channels))
        return state.split(self.channels, 1)

    def _leave(self, state: Pair) -> Tensor:
        return torch.cat(state, 1)


class JoinedChannels(Rearranged):
    """(x₁, x₂) ↦ the two parts of f([x₁, x₂]): the counterpart of `ChannelHalves`."""

    state_size = 2

    def __init__(self, inner: Bijection, channels: tuple[int, int]) -> None:
        super().__init__(inner)
        self.channels = list(channels)

    def _enter(self, state: Pair, side: str) -> Tensor:
        for part, channels in zip(state, self.channels, strict=True):
            require_channels(self, part, channels)
        return torch.cat(state, 1)

    def _leave(self, state: Tensor) -> Any:
        return state.split(self.channels, 1)


class Swapped(Rearranged):
    """(a, b) ↦ (y₂, y₁) with (y₁, y₂) = f(b, a)."""

    state_size = 2

    def _enter(self, state: Pair, side: str) -> Pair:
        return state[1], state[0]

    def _leave(self, state: Pair) -> Pair:
        return state[1], state[0]


class AxisHalves(Rearranged):
    """y = f(x₁, x₂) for the halves of x along an axis, x₁ being the first ⌈n/2⌉ of n."""

    def __init__(self, inner: Bijection, axis: int) -> None:
        super().__init__(inner)
        self.axis = axis

    def _enter(self, state: Tensor, side: str) -> Any:
        if state.dim() <= self.axis or state.shape[self.axis] < 2:
            raise ShapeError(
                f"AxisHalves: got {list(state.shape)}; expected 2 entries along axis {self.axis}."
            )
        return state.tensor_split([(state.shape[self.axis] + 1) // 2], self.axis)

    def _leave(self, state: Pair) -> Tensor:
        return torch.cat(state, self.axis)


class Reshape(Bijection):
    """The numbers of each sample in another shape, in the order of memory; logdet = 0."""

    def __init__(self, from_: list[int], to: list[int] | None = None) -> None:
        super().__init__()
        size = torch.Size(from_).numel()
        self.inside, self.outside = from_, [size] if to is None else to
        if torch.Size(self.outside).numel() != size:
            raise ArgumentError(f"to is {to}; expected as many numbers as {from_} has")

    def _map(self, x: Tensor, context: Any) -> tuple[Tensor, None]:
        return x.reshape(self.output_shape(tuple(x.shape))), None

    def _map_back(self, y: Tensor, context: Any) -> tuple[Tensor, None]:
        return y.reshape(self.input_shape(tuple(y.shape))), None

    def output_shape(self, x: Shape) -> Shape:
        return self._changed(x, self.inside, self.outside)

    def input_shape(self, y: Shape) -> Shape:
        return self._changed(y, self.outside, self.inside)

    def _changed(self, x: Shape, before: list[int], after: list[int]) -> Shape:
        if list(x[1:]) != list(before):
            raise ShapeError(f"Reshape: got {list(x)}; expected samples of {list(before)}.")
        return (x[0], *after)


class Flattened(Rearranged):
    """f on vectors [N, A + B] that hold both tensors of a pair one behind the other."""

    def __init__(self, inner: Bijection, input_shapes: Any, output_shapes: Any = None) -> None:
        super().__init__(inner)
        outputs = input_shapes if output_shapes is None else output_shapes
        self.shapes = {"input": input_shapes, "output": outputs}

    def _enter(self, state: Tensor, side: str) -> Any:
        shapes = self.shapes[side]
        sizes = [torch.Size(shape).numel() for shape in shapes]
        if state.dim() != 2 or state.shape[1] != sum(sizes):
            raise ShapeError(f"Flattened: got {list(state.shape)}; expected [N, {sum(sizes)}].")
        parts = zip(state.split(sizes, 1), shapes, strict=True)
        return tuple(part.reshape(len(state), *shape) for part, shape in parts)

    def _leave(self, state: Pair) -> Tensor:
        return torch.cat([t.flatten(1) for t in state], 1)


class Unflattened(Rearranged):
    """f on pairs, which it sees as vectors that hold both tensors one behind the other."""

    state_size = 2

    def __init__(self, inner: Bijection, shapes: Any) -> None:
        super().__init__(inner)
        self.shapes = shapes

    def _enter(self, state: Pair, side: str) -> Tensor:
        for part, shape in zip(state, self.shapes, strict=True):
            require_shape(self, "a sample", part[:1], (1, *shape))
        return torch.cat([t.flatten(1) for t in state], 1)

    def _leave(self, state: Tensor) -> Any:
        parts = state.split([torch.Size(shape).numel() for shape in self.shapes], 1)
        held = zip(parts, self.shapes, strict=True)
        return tuple(part.reshape(len(state), *shape) for part, shape in held)


def _through(layers: Any, move: Any, state: Any, context: Tensor | None) -> tuple[Any, Tensor]:
    total: Any = 0
    for layer in layers:
        state, logdet = move(layer, state, context)
        total = total + logdet
    return state, total


def _parted(x: Tensor) -> tuple[Tensor, ...]:
    first = (x.shape[1] + 1) // 2
    return x.split([first, x.shape[1] - first], 1)
