"""What a file knows by name only, and its user gives: functions inside of networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..errors import ArgumentError
from .core import Bijection, Conditioner


class CustomBlock(Conditioner):
    """A function of the user as a conditioner.

    Parameters
    ----------
    parts : callable
        ``f(x)``, or ``f(x, context)`` for one that sees the context, of torch's operations. A
        `torch.nn.Module` has its parameters in the file, by the names that they have in it.
    """

    def __init__(self, parts: Callable[..., Tensor]) -> None:
        super().__init__()
        if not callable(parts):
            raise ArgumentError(f"the function is {type(parts).__name__}; expected a callable")
        if isinstance(parts, nn.Module):
            self.inner = parts
        else:
            self._function = parts

    @property
    def uses_context(self) -> bool:  # type: ignore[override]
        """Has the function a second argument?"""
        f = self._function_or_module
        called = f.forward if isinstance(f, nn.Module) else f
        return len(inspect.signature(called).parameters) > 1

    def _value(self, x: Tensor, context: Tensor | None) -> Tensor:
        f = self._function_or_module
        return f(x, context) if self.uses_context else f(x)

    @property
    def _function_or_module(self) -> Any:
        return self._modules["inner"] if "inner" in self._modules else self._function


class CustomBijection(Bijection):
    """A map of the user with its inverse.

    Parameters
    ----------
    parts : object
        With ``forward(x)``, ``inverse(y)`` and, for densities, ``logdet(x, y)``, per sample; each
        with a context as its last argument where the map depends on one. A `torch.nn.Module` has
        its parameters in the file, by the names that they have in it.
    """

    def __init__(self, parts: Any) -> None:
        super().__init__()
        for name in ("forward", "inverse"):
            if not callable(getattr(parts, name, None)):
                raise ArgumentError(f"the map has no {name}; expected a function")
        if isinstance(parts, nn.Module):
            self.inner = parts
        else:
            self._parts = parts

    @property
    def uses_context(self) -> bool:  # type: ignore[override]
        """Has the function a second argument?"""
        return len(inspect.signature(self._own.forward).parameters) > 1

    def _map(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        more = (context,) if self.uses_context else ()
        y = self._own.forward(x, *more)
        return y, self._logdet(x, y, more)

    def _map_back(self, y: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        more = (context,) if self.uses_context else ()
        x = self._own.inverse(y, *more)
        logdet = self._logdet(x, y, more)
        return x, None if logdet is None else -logdet

    def _logdet(self, x: Tensor, y: Tensor, more: tuple[Any, ...]) -> Tensor | None:
        return self._own.logdet(x, y, *more) if hasattr(self._own, "logdet") else None

    @property
    def _own(self) -> Any:
        return self._modules["inner"] if "inner" in self._modules else self._parts


def as_conditioner(value: Any) -> Conditioner:
    """A conditioner of this package itself, or any other callable as one."""
    return value if isinstance(value, Conditioner) else CustomBlock(value)
