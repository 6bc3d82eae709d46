"""Random numbers that files name by a seed, InvNet's own: Philox 4×32-10 (Salmon et al., 2011)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def random_order(seed: int, size: int) -> list[int]:
    """The numbers 0 … size − 1 in the order that `RandomStream(seed).permutation(size)` gives."""
    order = list(range(size))
    draws = _words(seed, size).tolist()
    for i in range(size - 1, 0, -1):
        # The upper 24 bits make the number in [0, 1).
        j = (draws[i] >> 8) * (i + 1) >> 24
        order[i], order[j] = order[j], order[i]
    return order


def random_signs(seed: int, like: Tensor, block: int = 0) -> Tensor:
    """−1 or 1 for each number of a tensor, as estimates have them of a seed and a block."""
    upper = _words(seed, like.numel(), block) >> 31
    signs = torch.from_numpy(2.0 * upper - 1.0)
    return signs.to(dtype=like.dtype, device=like.device).reshape(like.shape)


def _words(seed: int, size: int, block: int = 0) -> NDArray[np.uint64]:
    """Numbers of 32 bits, which come in blocks of four."""
    mask = 0xFFFFFFFF
    place = np.arange(block, block + -(-size // 4), dtype=np.uint64)
    c0, c1, c2, c3 = place & mask, place >> 32, place & 0, place & 0
    k0, k1 = seed & mask, seed >> 32
    for _ in range(10):
        first, other = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = other >> 32 ^ c1 ^ k0, other & mask, first >> 32 ^ c3 ^ k1, first & mask
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return np.stack([c0, c1, c2, c3], 1).reshape(-1)[:size]
