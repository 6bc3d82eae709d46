"""Model files of InvNet in Python.

InvNet is a TypeScript library of invertible neural networks and normalizing flows. Its model files
are safetensors with the configuration of the model beside the numbers. `load` reads one, as plain
arrays by NumPy alone, or as a torch module of the same function:

>>> import invnet
>>> model = invnet.load("moons.safetensors")  # doctest: +SKIP
>>> model.type, model.config["network"]["hidden"]  # doctest: +SKIP
('Flow', 16)
>>> flow = invnet.load("moons.safetensors", framework="torch")  # doctest: +SKIP
>>> flow.sample(3, (2,)).shape  # doctest: +SKIP
torch.Size([3, 2])
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from .errors import (
    ArgumentError,
    CheckpointError,
    ConfigurationError,
    InvNetError,
    SafetensorsFormatError,
    ShapeError,
)
from .model_file import FORMAT_VERSION, Model, model_bytes, model_of_bytes, read_model, write_model

if TYPE_CHECKING:
    from .torch import Module

__all__ = [
    "FORMAT_VERSION",
    "ArgumentError",
    "CheckpointError",
    "ConfigurationError",
    "InvNetError",
    "Model",
    "SafetensorsFormatError",
    "ShapeError",
    "load",
    "model_bytes",
    "model_of_bytes",
    "save",
]


@overload
def load(path: str | os.PathLike[str]) -> Model: ...
@overload
def load(
    path: str | os.PathLike[str],
    *,
    framework: Literal["torch"],
    named: Mapping[str, Callable[[], Any]] | None = None,
) -> Module: ...
def load(
    path: str | os.PathLike[str],
    *,
    framework: str | None = None,
    named: Mapping[str, Callable[[], Any]] | None = None,
) -> Any:
    """Read a model file.

    Parameters
    ----------
    path : path-like
        A file of ``saveModel`` or ``saveCheckpoint``.
    framework : {None, "torch"}
        What to make of it: a `Model` of arrays, or a torch module; see `invnet.torch.load`.
    named : dict of str to callable, optional
        For ``framework="torch"``: makes what the file knows by name only; see `invnet.torch.load`.

    Raises
    ------
    SafetensorsFormatError
        For bytes that are not a whole safetensors file.
    CheckpointError
        For a file that cannot be read, holds no model, or one of a later version.
    ConfigurationError
        For a type, or a name, that is not known; by its path.
    """
    if framework == "torch":
        from .torch import load as load_module

        return load_module(path, named=named)
    if framework is not None:
        raise ArgumentError(f"framework is {framework!r}; expected None or 'torch'.")
    if named is not None:
        raise ArgumentError("named goes with framework='torch', which builds what has names.")
    return read_model(path)


def save(model: Model | Module, path: str | os.PathLike[str]) -> None:
    """Write a model, of arrays or of torch, as a file for InvNet; see `invnet.torch.save`."""
    if isinstance(model, Model):
        return write_model(model, path)
    from .torch import save as save_module

    return save_module(model, path)
