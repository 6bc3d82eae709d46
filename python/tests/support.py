"""The models that were recorded, and the functions that their files know by name."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from invnet import safetensors  # noqa: E402
from invnet.torch.linear import ActNorm  # noqa: E402

# Another folder of the same layout is checked instead where one is given.
FOLDER = Path(os.environ.get("INVNET_MODELS", Path(__file__).parent / "models"))


class Stretching(nn.Module):
    """x·exp(a·c) on two channels"""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return x * torch.exp(self.a * c)

    def inverse(self, y: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return y * torch.exp(-self.a * c)

    def logdet(self, x: torch.Tensor, y: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return 2 * (self.a * c).reshape(-1)


class Growing(nn.Module):
    """k·exp(x)·c"""

    def __init__(self) -> None:
        super().__init__()
        self.k = nn.Parameter(torch.zeros(1))
        # No part of the file: it stays as it is.
        self.register_buffer("one", torch.ones(()))

    def forward(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return self.one.to(x) * self.k * torch.exp(x) * c


NAMED = {
    "stretching": Stretching,
    "scaling": lambda: lambda u: 0.7 * u,
    "first channel": lambda: lambda u: u[:, :1],
    "squares": lambda: lambda u: u**2,
    "growing": Growing,
    "doubling": lambda: lambda x: 2 * x,
    "step": lambda: lambda channels, scale: ActNorm(channels[0]),
}


def expectations() -> dict[str, tuple[list, dict[str, np.ndarray]]]:
    """By file: the places of all modules with their types, and inputs and results by name."""
    arrays, metadata = safetensors.read((FOLDER / "expected.safetensors").read_bytes())
    rows: dict = {slug: (json.loads(places), {}) for slug, places in metadata.items()}
    for key, array in arrays.items():
        slug, name = key.split("/", 1)
        rows[slug][1][name] = array
    return rows
