"""The safetensors format: the length of a JSON header as a little-endian 64-bit number, the header
with each array's type, shape and place, then the numbers, little-endian, without gaps.

Written here because it is short, and the format's own package is compiled: with this one the
package is pure Python and needs NumPy alone. Left out: element types that NumPy lacks (BF16, floats
of 8 bits and fewer), which no model file of InvNet has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from .errors import ArgumentError, SafetensorsFormatError

_METADATA = "__metadata__"
# As in the format's own reader.
_MOST_HEADER_BYTES = 100_000_000
_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1",
}  # fmt: skip
_NAMES = {np.dtype(code): name for name, code in _TYPES.items()}


def read(data: bytes, name: str = "the file") -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a whole file.

    Parameters
    ----------
    data : bytes
        The file's bytes.
    name : str
        What messages call it, such as its path.

    Returns
    -------
    arrays : dict of str to numpy.ndarray
        In the header's order; copies, which may be written to.
    metadata : dict of str to str

    Raises
    ------
    SafetensorsFormatError
        For another kind of file, a truncated or overlong one, a header that contradicts itself, or
        an element type that NumPy lacks.
    """

    def fail(problem: str) -> NoReturn:
        raise SafetensorsFormatError(f"{name} {problem}")

    if len(data) < 8:
        fail(f"is no safetensors file: it has {len(data)} bytes, expected at least 10.")
    header_length = int.from_bytes(data[:8], "little")
    if header_length > _MOST_HEADER_BYTES:
        fail("is no safetensors file: it does not start with the length of a JSON header.")
    start = 8 + header_length
    if len(data) < start:
        fail(f"is truncated: its header needs {start} bytes, it has {len(data)}.")
    try:
        header = json.loads(data[8:start].decode("utf-8"))
    except (ValueError, RecursionError):
        fail("is no safetensors file, or a damaged one: its header is not JSON.")
    if not isinstance(header, dict):
        fail("has a header that is not a JSON object.")
    metadata = header.pop(_METADATA, None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        fail(f"has a {_METADATA} that is not a map of strings to strings.")

    end = 0
    arrays: dict[str, np.ndarray] = {}
    checked = {key: _checked(key, entry, fail) for key, entry in header.items()}
    for key, (dtype, shape, first, last) in sorted(checked.items(), key=lambda e: e[1][2:]):
        if first != end:
            fail(f"has '{key}' at offset {first}; expected {end}, without gap or overlap.")
        end = last
        if start + last > len(data):
            fail(f"is truncated: '{key}' ends at {start + last}, it has {len(data)} bytes.")
        numbers = np.frombuffer(data, dtype, count=math.prod(shape), offset=start + first)
        arrays[key] = numbers.astype(dtype.newbyteorder("=")).reshape(shape)
    if start + end != len(data):
        fail(f"has trailing bytes: its header describes {start + end}, it has {len(data)}.")
    return {key: arrays[key] for key in header}, metadata


def write(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file, arrays of wider elements first, so that each is aligned."""
    ordered = sorted(arrays.items(), key=lambda e: -np.dtype(e[1].dtype).itemsize)
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    parts, end = [], 0
    for key, array in ordered:
        kind = _NAMES.get(array.dtype.newbyteorder("<"))
        if kind is None:
            raise ArgumentError(f"'{key}' is of {array.dtype}; expected float32 or float64.")
        part = np.ascontiguousarray(array).astype(_TYPES[kind], copy=False).tobytes()
        header[key] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [end, end + len(part)],
        }
        parts.append(part)
        end += len(part)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    # Spaces bring the numbers to a multiple of 8; the format allows them at the header's end.
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def _checked(key: str, entry: Any, fail: Any) -> tuple[np.dtype, list[int], int, int]:
    entry = entry if isinstance(entry, dict) else {}
    kind, shape, offsets = (entry.get(k) for k in ("dtype", "shape", "data_offsets"))
    if not isinstance(kind, str) or not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:
        fail(f"has a header without the dtype, shape and data_offsets of '{key}'.")
    if kind not in _TYPES:
        fail(f"holds '{key}' as {kind}, which NumPy has no type for; expected F32 or F64.")
    dtype = np.dtype(_TYPES[kind])
    first, last = offsets
    if last - first != math.prod(shape) * dtype.itemsize:
        fail(f"gives '{key}' {last - first} bytes; {kind} of shape {shape} needs another number.")
    return dtype, shape, first, last


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and v >= 0 for v in value)
