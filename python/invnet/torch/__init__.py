"""Models of InvNet as torch modules: `load` makes one of a file, `save` writes it back.

The modules are made from files and hold what a file says; their classes are InvNet's, by name and
option, and each documents its formula. They compute by torch's operations, so that automatic
differentiation, devices, precisions and optimizers work on them as on any other.
"""

try:
    import torch  # noqa: F401
except ModuleNotFoundError as cause:
    raise ModuleNotFoundError(
        "invnet.torch needs torch: pip install torch", name="torch"
    ) from cause

from .bases import BaseDistribution
from .core import Bijection, Conditioner
from .files import load, model_of, module_of, save
from .flows import Flow, bits_per_dim, dequantize
from .tree import Module

__all__ = [
    "BaseDistribution",
    "Bijection",
    "Conditioner",
    "Flow",
    "Module",
    "bits_per_dim",
    "dequantize",
    "load",
    "model_of",
    "module_of",
    "save",
]
