"""What goes wrong, by kind: each error says what came, what was expected, and where."""

from __future__ import annotations


class InvNetError(Exception):
    """Any error of this package."""


class SafetensorsFormatError(InvNetError):
    """Bytes are not a whole safetensors file that this package can read."""


class CheckpointError(InvNetError):
    """A file holds no model, one of a later version, or numbers that do not fit."""


class ConfigurationError(InvNetError):
    """A configuration names a type or a function that is not known, or cannot be built."""


class ArgumentError(InvNetError, ValueError):
    """A method was given what it does not take."""


class ShapeError(ArgumentError):
    """An array has another shape than a module takes."""
