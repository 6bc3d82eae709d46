"""The tree that a network is, named as InvNet names it.

A child called ``inner`` adds nothing to a path: a wrapper stands at the place of what it wraps. So
the names of parameters, of buffers and in ``state_dict`` are the paths in model files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..errors import ArgumentError


class Module(nn.Module):
    """A torch module whose parts go by InvNet's paths.

    Attributes
    ----------
    config : dict or None
        The configuration that it was built from; None for parts that a module makes by itself.
    metadata : dict of str to str
        What the file says beside the model.
    """

    _transparent: ClassVar[tuple[str, ...]] = ("inner",)

    def __init__(self) -> None:
        super().__init__()
        self.config: dict[str, Any] | None = None
        self.metadata: dict[str, str] = {}

    @cached_property
    def uses_context(self) -> bool:
        """Does the result depend on a context? By default where that of a child does."""
        return any(part.uses_context for part in parts_of(self))

    def named_modules(
        self,
        memo: set[nn.Module] | None = None,
        prefix: str = "",
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, nn.Module]]:
        """As torch's own, with the paths of InvNet."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                inside = prefix if name in self._transparent else joined(prefix, name)
                yield from child.named_modules(memo, inside, remove_duplicate)

    def state_dict(  # type: ignore[override]
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Parameters and buffers by path; a part that stands at several places is there once."""
        found = {} if destination is None else destination
        for name, tensor in [*self.named_parameters(), *self.named_buffers()]:
            found[prefix + name] = tensor if keep_vars else tensor.detach()
        return found

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **options: Any
    ) -> None:
        # What follows, the loading of children included, is torch's own and goes by its names.
        for theirs, ours in self._names().items():
            if prefix + theirs not in state_dict and prefix + ours in state_dict:
                state_dict[prefix + theirs] = state_dict[prefix + ours]
        for ours in set(self._names().values()) - set(self._names()):
            state_dict.pop(prefix + ours, None)
        super()._load_from_state_dict(state_dict, prefix, *args, **options)

    def _names(self) -> dict[str, str]:
        """The paths of all parameters and buffers by the names that torch has for their places."""
        ours = {id(t): name for name, t in [*self.named_parameters(), *self.named_buffers()]}
        return {name: ours[id(t)] for name, t in _by_structure(self, "")}

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            # A path goes through a wrapper to what it wraps.
            inner = self.__dict__.get("_modules", {}).get("inner")
            if "inner" in self._transparent and isinstance(inner, nn.Module):
                return inner.__getattr__(name)
            raise


def joined(path: str, name: str) -> str:
    """The path of a part in what is at a path; no name adds nothing."""
    return f"{path}.{name}" if path and name else path or name


def parts_of(module: nn.Module) -> Iterator[Module]:
    """The modules directly in a module, those in lists and records of it included."""
    for child in module.children():
        if isinstance(child, Module):
            yield child
        elif isinstance(child, nn.ModuleList | nn.ModuleDict):
            yield from parts_of(child)


def places_in(root: nn.Module) -> list[tuple[str, Module]]:
    """All of InvNet's modules with their paths, each once, in the order of files."""
    return [(path, m) for path, m in root.named_modules() if isinstance(m, Module)]


def arrays_in(root: nn.Module) -> dict[str, Tensor]:
    """What a file holds of a module: all parameters, and the buffers of InvNet's own modules."""
    buffers = {
        joined(path, name): buffer
        for path, module in places_in(root)
        for name, buffer in module.named_buffers(recurse=False)
    }
    return dict(root.named_parameters()) | buffers


def assign(root: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Puts other tensors in the place of parameters and buffers, by path."""
    for path, module in list(root.named_modules()):
        for slots in (module._parameters, module._buffers):
            for name, old in slots.items():
                new = tensors.get(joined(path, name))
                if old is not None and new is not None:
                    slots[name] = nn.Parameter(new) if isinstance(old, nn.Parameter) else new


def replace(root: Module, path: str, part: nn.Module) -> None:
    """Puts a module in the place of another, wherever that stands.

    A wrapper and what it wraps have one path, which means the wrapper; with ``.inner`` behind it,
    what is wrapped.
    """
    names = path.split(".")
    wrapped = 0
    while names[-1] == "inner":
        names.pop()
        wrapped += 1
    found = [m for place, m in places_in(root) if place == ".".join(names)]
    if len(found) <= wrapped or found[wrapped] is root:
        raise ArgumentError(f"there is no part at '{path}'")
    for module in list(root.modules()):
        for name, child in module._modules.items():
            if child is found[wrapped]:
                module._modules[name] = part


def parameter(*shape: int) -> nn.Parameter:
    """A parameter without numbers, which those of a file take the place of."""
    return nn.Parameter(torch.empty(shape, device="meta"))


def _by_structure(module: nn.Module, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if tensor is not None:
            yield prefix + name, tensor
    for name, child in module._modules.items():
        if child is not None:
            yield from _by_structure(child, f"{prefix}{name}.")
