"""From configurations to modules without numbers."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from torch import nn

from ..errors import ConfigurationError
from .catalogue import TYPES
from .tree import Module, joined, replace


def build(config: Any, named: Mapping[str, Callable[[], Any]]) -> Module:
    """The module of a configuration; its parameters are on torch's device ``meta``.

    Raises
    ------
    ConfigurationError
        For a type or a name that is not known, options that a type does not take, or a shared part
        that is missing; with its path.
    """
    try:
        module = _Building(named).decoded(config, "")
    except RecursionError as cause:
        raise ConfigurationError("the configuration is nested too deeply.") from cause
    return module if isinstance(module, Module) else _fail("", "is no configuration of a module")


class _Building:
    def __init__(self, named: Mapping[str, Callable[[], Any]]) -> None:
        self.named = named
        self.shared: dict[Any, Any] = {}

    def decoded(self, value: Any, path: str) -> Any:
        """What an option of a configuration means."""
        if isinstance(value, list):
            return [self.decoded(v, joined(path, str(i))) for i, v in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            if value["$ref"] not in self.shared:
                _fail(path, f"refers to part {value['$ref']!r}, which is missing")
            return self.shared[value["$ref"]]
        if "$named" in value:
            made = self._named(value["$named"], path)
        elif "$type" in value:
            made = self._typed(value, path)
        else:
            return {k: self.decoded(v, joined(path, k)) for k, v in value.items()}
        if "$id" in value:
            if value["$id"] in self.shared:
                _fail(path, f"has the number {value['$id']!r} of another part")
            self.shared[value["$id"]] = made
        if "$parts" in value:
            self._replace(made, value["$parts"], path)
        return made

    def _named(self, name: Any, path: str) -> Any:
        factory = self.named.get(name)
        if factory is None:
            _fail(path, f"needs '{name}'; expected named={{'{name}': ...}} with what makes it")
        if not callable(factory):
            _fail(path, f"got {factory!r} for '{name}'; expected a function that makes it")
        return factory()

    def _typed(self, config: dict[str, Any], path: str) -> Any:
        kind = config["$type"]
        make = TYPES.get(kind) if isinstance(kind, str) else None
        if make is None:
            _fail(path, f"is of the type {kind!r}, which is not in the Python package yet")
        options = {k: v for k, v in config.items() if not k.startswith("$")}
        values = {_snake(k): self.decoded(v, joined(path, k)) for k, v in options.items()}
        try:
            made = make(**values)
        except (TypeError, ValueError, KeyError, RuntimeError) as cause:
            _fail(path, f"cannot be built as a {kind}: {cause}", cause)
        if isinstance(made, Module):
            made.config = config
        return made

    def _replace(self, owner: Any, parts: Any, path: str) -> None:
        if not isinstance(owner, Module) or not isinstance(parts, dict):
            _fail(path, "has '$parts' that are none")
        for place, config in parts.items():
            inside = joined(joined(path, "$parts"), place)
            part = self.decoded(config, inside)
            if not isinstance(part, nn.Module):
                _fail(inside, "is no module")
            try:
                replace(owner, place, part)
            except ValueError as cause:
                _fail(inside, f"cannot be put in: {cause}", cause)


def _snake(name: str) -> str:
    """The name of an option as that of a Python argument."""
    snake = re.sub(r"(?<!^)([A-Z])", lambda m: f"_{m[1].lower()}", name)
    return f"{snake}_" if keyword.iskeyword(snake) else snake


def _fail(path: str, problem: str, cause: BaseException | None = None) -> NoReturn:
    where = f"the configuration at '{path}'" if path else "the configuration"
    raise ConfigurationError(f"{where} {problem}.") from cause
