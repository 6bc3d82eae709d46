"""The contract of bijections and conditioners: checks around hooks, once for all.

Left out, beside InvNet's own: the backwards and Jacobian-vector products written by hand, which
torch's automatic differentiation stands in for. It keeps the activations of all layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError, ShapeError
from .tree import Module

State = Tensor | tuple[Tensor, Tensor]
"""What a map moves: a tensor, or a pair of them."""

Shape = tuple[Any, ...]
"""The sizes of a tensor, or those of both of a pair."""


class Bijection(Module):
    """An invertible map with the logarithm of its volume change, as a function of a context.

    Subclasses give `_map` and `_map_back`, which return a state and its log-determinants, None for
    zeros.
    """

    state_size: int = 1
    """How many tensors a state has, 1 or 2."""

    def forward(self, x: Any, context: Tensor | None = None) -> tuple[Any, Tensor]:
        """Map x to y.

        Parameters
        ----------
        x : torch.Tensor or pair of them
            Batch first.
        context : torch.Tensor, optional
            One entry per sample, or one for all.

        Returns
        -------
        y : as x
        logdet : torch.Tensor
            log|det dy/dx| per sample, of shape [N].
        """
        return self._run("forward", self._map, x, context)

    def inverse(self, y: Any, context: Tensor | None = None) -> tuple[Any, Tensor]:
        """Map y back to x, with log|det dx/dy|; as `forward`."""
        return self._run("inverse", self._map_back, y, context)

    def output_shape(self, x: Shape) -> Shape:
        """The shape of y for that of x."""
        return x

    def input_shape(self, y: Shape) -> Shape:
        """The shape of x for that of y."""
        return y

    def _map(self, x: Any, context: Tensor | None) -> tuple[Any, Tensor | None]:
        raise NotImplementedError

    def _map_back(self, y: Any, context: Tensor | None) -> tuple[Any, Tensor | None]:
        raise NotImplementedError

    def _run(
        self, method: str, hook: Callable[..., Any], state: Any, context: Tensor | None
    ) -> tuple[Any, Tensor]:
        call = f"{type(self).__name__}.{method}"
        tensors = (state,) if isinstance(state, Tensor) else tuple(state)
        if len(tensors) != self.state_size or not all(isinstance(t, Tensor) for t in tensors):
            expected = "a tensor" if self.state_size == 1 else "a pair of tensors"
            raise ArgumentError(f"{call}: got {type(state).__name__}; expected {expected}.")
        if tensors[0].dim() == 0 or len(tensors[0]) == 0:
            shape = list(tensors[0].shape)
            raise ShapeError(f"{call}: got {shape}, no samples; expected one at least, [N, ...].")
        whole = state if isinstance(state, Tensor) else tensors
        context = checked_context(self, call, tensors[0], context)
        result, logdet = hook(whole, context)
        return result, tensors[0].new_zeros(len(tensors[0])) if logdet is None else logdet


class Conditioner(Module):
    """A function inside a coupling, which need not be invertible. Subclasses give `_value`."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The function's value, for a context where it uses one."""
        call = f"{type(self).__name__}.forward"
        return self._value(x, checked_context(self, call, x, context))

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        raise NotImplementedError


def checked_context(module: Module, call: str, x: Tensor, context: Tensor | None) -> Tensor | None:
    """The context for each sample. Raises for one that nothing uses, since it would be ignored."""
    if context is None:
        return None
    if not module.uses_context:
        raise ArgumentError(f"{call}: got a context, which nothing in it uses; expected none.")
    if len(context) == len(x):
        return context
    if len(context) == 1:
        return context.expand(len(x), *context.shape[1:])
    raise ShapeError(
        f"{call}: the context has {len(context)} entries; expected {len(x)}, or one for all."
    )


def run(f: Module, x: Any, context: Tensor | None) -> Any:
    """What a part gives, with the context where it has a use for one."""
    return f(x, context if f.uses_context else None)


def run_back(f: Bijection, y: Any, context: Tensor | None) -> tuple[Any, Tensor]:
    """What the inverse of a part gives, as `run`."""
    return f.inverse(y, context if f.uses_context else None)


_LOGDET_IS_READ: ContextVar[bool] = ContextVar("invnet_logdet_is_read", default=True)


@contextmanager
def without_logdet() -> Iterator[None]:
    """Calls whose log-determinants nobody reads: maps that pay for them may give zeros instead."""
    token = _LOGDET_IS_READ.set(False)
    try:
        yield
    finally:
        _LOGDET_IS_READ.reset(token)


def logdet_is_read() -> bool:
    """Does somebody read the log-determinant of the call that is under way?"""
    return _LOGDET_IS_READ.get()


def require_channels(module: Module, x: Tensor, channels: int) -> None:
    """Raises unless it is [N, channels, ...] with up to three spatial axes."""
    if 2 <= x.dim() <= 5 and x.shape[1] == channels:
        return
    raise ShapeError(
        f"{type(module).__name__}: got {list(x.shape)}; expected [N, {channels}, ...] with up to "
        "three spatial axes."
    )


def require_shape(module: Module, what: str, x: Tensor, shape: tuple[int, ...]) -> None:
    """Raises unless a tensor has a shape."""
    if tuple(x.shape) != tuple(shape):
        raise ShapeError(
            f"{type(module).__name__}: {what} is {list(x.shape)}; expected {list(shape)}."
        )


def require_count(name: str, value: Any, most: int = 4096) -> None:
    """Raises unless it is a number of steps, scales or iterations: one that ends."""
    if type(value) is not int or not 1 <= value <= most:
        raise ArgumentError(f"{name} is {value!r}; expected a whole number from 1 to {most}")


def per_sample(x: Tensor) -> Tensor:
    """The sum over all numbers of each sample, of shape [N]."""
    return x.reshape(len(x), -1).sum(1)


def positions(x: Tensor) -> int:
    """How many positions [N, C, ...] has: the product of its spatial sizes."""
    return x.shape[2:].numel()


def along_channels(vector: Tensor, x: Tensor) -> Tensor:
    """A number per channel as [1, C, 1, ...], to broadcast over x."""
    return vector.reshape(1, -1, *[1] * (x.dim() - 2))


def everywhere(x: Tensor, value: Tensor) -> Tensor:
    """One number for each sample of x, of shape [N]."""
    return value.expand(len(x))


def halves_of(channels: int) -> tuple[int, int]:
    """The lower and the upper half of a number of channels, as couplings part them."""
    return channels // 2, channels - channels // 2


def log_sigmoid_slope(x: Tensor) -> Tensor:
    """log of the slope of the logistic function, exact far from zero too."""
    return -(softplus(x) + softplus(-x))


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp x); torch's own is x from 20 on, which float64 tells apart."""
    return torch.logaddexp(x, torch.zeros_like(x))
