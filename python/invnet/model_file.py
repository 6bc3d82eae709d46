"""What a model file of InvNet says: configuration, arrays by path, modes, and the caller's strings.

The form is described in docs/model-files.md of the repository. This module needs NumPy alone and
computes nothing; `invnet.torch` makes modules of it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import safetensors
from .errors import CheckpointError, InvNetError

FORMAT_VERSION = 2
"""The version of the form that is written, and the last one that is read."""

_RESERVED = "invnet."
_FORMAT, _MODEL = "invnet.format", "invnet.model"
_FROZEN, _EVALUATION = "invnet.frozen", "invnet.evaluation"
_OPTIMIZER = "invnet.optimizer"

Config = dict[str, Any]
"""A module as plain JSON: its `$type` and its options."""


@dataclass(frozen=True)
class Model:
    """A model as its file has it.

    Attributes
    ----------
    config : dict
        The configuration: the `$type` of the module and its options.
    arrays : dict of str to numpy.ndarray
        Parameters and buffers by path, such as ``network.scales.0.steps.3.conv1x1.v1``.
    metadata : dict of str to str
        What the caller gave when it was saved.
    frozen : tuple of str
        Paths of parameters that are not trained.
    evaluation : tuple of int
        Which modules are in evaluation mode, counted in the order of the tree.
    version : int
        The version of the form.
    """

    config: Config
    arrays: dict[str, np.ndarray]
    metadata: dict[str, str] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    evaluation: tuple[int, ...] = ()
    version: int = FORMAT_VERSION

    @property
    def type(self) -> str:
        """The type of the module, such as ``Flow``."""
        return self.config["$type"]


def read_model(path: str | os.PathLike[str]) -> Model:
    """The model of a file; raises as `model_of_bytes`, and for a file that cannot be read."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as cause:
        raise CheckpointError(f"{os.fspath(path)} cannot be read: {cause}") from cause
    return model_of_bytes(data, os.fspath(path))


def model_of_bytes(data: bytes, name: str = "the file") -> Model:
    """The model that a file's bytes hold.

    Raises
    ------
    SafetensorsFormatError
        When they are not a whole safetensors file.
    CheckpointError
        When they hold weights alone, a model of a later version, or numbers that are not finite.
    """
    arrays, strings = safetensors.read(data, name)
    version = strings.get(_FORMAT)
    if version is None:
        raise CheckpointError(
            f"{name} holds weights alone, without the configuration of a model; expected a file of "
            "saveModel or saveCheckpoint."
        )
    if not (version.isascii() and version.isdigit()) or int(version) > FORMAT_VERSION:
        raise CheckpointError(
            f"{name} is of version {version} of the form; this package reads up to "
            f"{FORMAT_VERSION}. Expected a newer package, or a file that an older InvNet wrote."
        )
    config = _parsed(strings, _MODEL, name)
    if not isinstance(config, dict) or not isinstance(config.get("$type"), str):
        raise CheckpointError(f"{name}: '{_MODEL}' is no configuration of a module.")
    for path, array in arrays.items():
        if not np.isfinite(array).all():
            raise CheckpointError(f"{name}: '{path}' holds numbers that are not finite.")
    return Model(
        config=config,
        arrays=_without_optimizer(arrays, strings),
        metadata={k: v for k, v in strings.items() if not k.startswith(_RESERVED)},
        frozen=_list_of(str, strings, _FROZEN, name),
        evaluation=_list_of(int, strings, _EVALUATION, name),
        version=int(version),
    )


def model_bytes(model: Model) -> bytes:
    """The bytes of the model's file. Raises `CheckpointError` for what InvNet would not load."""
    for path, array in model.arrays.items():
        if array.dtype not in (np.float32, np.float64):
            raise CheckpointError(f"'{path}' is of {array.dtype}; expected float32 or float64.")
        if not np.isfinite(array).all():
            raise CheckpointError(f"'{path}' holds numbers that are not finite; nothing is saved.")
    return safetensors.write(model.arrays, {**_checked_metadata(model.metadata), **_own(model)})


def write_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Save a model, atomically: the file is written beside its path and renamed."""
    data = model_bytes(model)
    folder, target = os.path.split(os.path.abspath(os.path.realpath(path)))
    handle, beside = tempfile.mkstemp(prefix=f".{target}-", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, os.path.join(folder, target))
    except BaseException:
        os.unlink(beside)
        raise


def _own(model: Model) -> dict[str, str]:
    strings = {_FORMAT: str(FORMAT_VERSION), _MODEL: _text(model.config)}
    if model.frozen:
        strings[_FROZEN] = _text(list(model.frozen))
    if model.evaluation:
        strings[_EVALUATION] = _text(list(model.evaluation))
    return strings


def _checked_metadata(metadata: Mapping[str, str]) -> Mapping[str, str]:
    for key, value in metadata.items():
        if isinstance(key, str) and isinstance(value, str) and not key.startswith(_RESERVED):
            continue
        raise CheckpointError(
            f"metadata {key!r} is {value!r}; expected a text, and a name that does not begin with "
            f"'{_RESERVED}'."
        )
    return metadata


def _without_optimizer(
    arrays: dict[str, np.ndarray], strings: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """A checkpoint's arrays but for the state of its optimizer, which is no part of the model."""
    if _OPTIMIZER not in strings:
        return arrays
    prefix = f"optimizer/{strings[_OPTIMIZER]}/"
    return {path: array for path, array in arrays.items() if not path.startswith(prefix)}


def _list_of(kind: type, strings: Mapping[str, str], key: str, name: str) -> tuple[Any, ...]:
    if key not in strings:
        return ()
    values = _parsed(strings, key, name)
    if isinstance(values, list) and all(type(v) is kind for v in values):
        return tuple(values)
    raise CheckpointError(f"{name}: '{key}' is no list of {kind.__name__}.")


def _parsed(strings: Mapping[str, str], key: str, name: str) -> Any:
    try:
        return json.loads(strings.get(key, ""), parse_constant=_no_number)
    except RecursionError as cause:
        raise CheckpointError(f"{name}: '{key}' is nested too deeply.") from cause
    except ValueError as cause:
        raise CheckpointError(f"{name}: '{key}' is not JSON.") from cause


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as cause:
        raise InvNetError(f"the configuration cannot be written as JSON: {cause}") from cause
