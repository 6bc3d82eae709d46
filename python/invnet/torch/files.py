"""Model files as torch modules, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..model_file import Model, read_model, write_model
from .build import build
from .linear import SET_BY_DATA
from .tree import Module, arrays_in, assign, joined, places_in


def load(
    path: str | os.PathLike[str],
    *,
    named: Mapping[str, Callable[[], Any]] | None = None,
) -> Module:
    """The torch module of a model file: the same function, with parameters under the same paths.

    Parameters
    ----------
    path : path-like
        A file of ``saveModel`` or ``saveCheckpoint``.
    named : dict of str to callable, optional
        Makes what the file knows by name only: the function of a ``CustomBlock`` (``f(x)`` or
        ``f(x, context)``, or a `torch.nn.Module` with the block's parameters), and the
        ``operator`` of an ``UnrolledLoop`` (from an image to its data). Each is a function without
        arguments that returns one.

    Returns
    -------
    Module
        A `torch.nn.Module`: `Flow`, `Bijection` or `Conditioner`. What is frozen in the file
        has ``requires_grad=False``, and what was in evaluation mode is so.

    Raises
    ------
    SafetensorsFormatError, CheckpointError, ConfigurationError
        As `invnet.load`; also where arrays are missing, unexpected, or of another shape.

    Examples
    --------
    >>> flow = invnet.torch.load("moons.safetensors")  # doctest: +SKIP
    >>> flow.log_prob(torch.randn(5, 2)).shape  # doctest: +SKIP
    torch.Size([5])
    """
    return module_of(read_model(path), os.fspath(path), named=named)


def module_of(
    model: Model,
    name: str = "the model",
    *,
    named: Mapping[str, Callable[[], Any]] | None = None,
) -> Module:
    """The torch module of a model that was read; as `load`."""
    module = build(model.config, named or {})
    places = arrays_in(module)
    _require_fit(model, places, f"{name} does not fit a {model.type} of its configuration")
    # Those of the user's own functions that are no part of the file keep their numbers.
    assign(module, {path: torch.from_numpy(a.copy()) for path, a in model.arrays.items()})
    _apply_modes(module, model, name)
    module.metadata = dict(model.metadata)
    return module


def save(module: Module, path: str | os.PathLike[str]) -> None:
    """Write a module as a model file, which InvNet loads: the same numbers, bit for bit.

    Parameters
    ----------
    module : Module
        What `load` gave, trained further or not; or a part of it that has a configuration of its
        own. Its `metadata` goes into the file.
    path : path-like
        Where to; the file is replaced as a whole.

    Raises
    ------
    CheckpointError
        For numbers that are not finite or of other types than float32 and float64, or a part that
        its network makes by itself.
    """
    write_model(model_of(module), path)


def model_of(module: Module) -> Model:
    """The model of a module, as plain arrays."""
    config = getattr(module, "config", None)
    if not isinstance(module, Module) or config is None:
        raise CheckpointError(
            f"a {type(module).__name__} has no configuration; expected what load gave, or a part "
            "that is among the options of another."
        )
    _require_whole(config)
    places = places_in(module)
    flags = {joined(path, "initialized") for path, m in places if isinstance(m, SET_BY_DATA)}
    tensors = arrays_in(module)
    trained = [joined(path, "initialized") for path, m in places if _was_set(m)]
    arrays = {path: _array(path, t) for path, t in tensors.items() if path not in flags}
    for path in flags:
        arrays[path] = torch.tensor(float(path in trained)).numpy()
    return Model(
        config=config,
        arrays=arrays,
        metadata=dict(module.metadata),
        frozen=tuple(p for p, t in module.named_parameters() if not t.requires_grad),
        evaluation=tuple(i for i, (_, m) in enumerate(places) if not m.training),
    )


def _was_set(m: Module) -> bool:
    """Was it set by data, or trained since? InvNet sets none of these by data again."""
    if not isinstance(m, SET_BY_DATA):
        return False
    moved = bool((m.scale != 1).any() or (m.shift != 0).any())
    return moved or bool(m.initialized)


def _array(path: str, tensor: Tensor) -> Any:
    if tensor.dtype not in (torch.float32, torch.float64):
        raise CheckpointError(f"'{path}' is of {tensor.dtype}; expected float32 or float64.")
    return tensor.detach().cpu().numpy()


def _require_fit(model: Model, places: Mapping[str, Tensor], misfit: str) -> None:
    for path, tensor in places.items():
        array = model.arrays.get(path)
        if array is None:
            raise CheckpointError(f"{misfit}: it lacks '{path}'.")
        if array.shape != tuple(tensor.shape):
            raise CheckpointError(
                f"{misfit}: '{path}' is {list(array.shape)}; expected {list(tensor.shape)}."
            )
    for path in model.arrays:
        if path not in places:
            raise CheckpointError(f"{misfit}: it has '{path}', which is unexpected.")


def _apply_modes(module: Module, model: Model, name: str) -> None:
    parameters = dict(module.named_parameters())
    for path in model.frozen:
        if path not in parameters:
            raise CheckpointError(f"{name} freezes '{path}', which is no parameter.")
        parameters[path].requires_grad_(False)
    places = places_in(module)
    for i in model.evaluation:
        if not 0 <= i < len(places):
            raise CheckpointError(f"{name} has module {i} in evaluation mode; there is none.")
    for i, (_, m) in enumerate(places):
        m.training = i not in model.evaluation


def _require_whole(config: Any) -> None:
    """Raises for a part that refers to others outside of it."""
    numbers: dict[str, set[Any]] = {"$id": set(), "$ref": set()}
    left = [config]
    while left:
        value = left.pop()
        left.extend(value.values() if isinstance(value, dict) else value)
        left = [v for v in left if isinstance(v, dict | list)]
        if isinstance(value, dict):
            for key, found in numbers.items():
                if key in value:
                    found.add(value[key])
    if not numbers["$ref"] <= numbers["$id"]:
        raise CheckpointError("this part shares parts with others of its network; save the whole.")
