"""InvNet's random orders, which some files name by a seed: Philox 4×32-10 (Salmon et al., 2011)."""

from __future__ import annotations


def random_order(seed: int, size: int) -> list[int]:
    """The numbers 0 … size − 1 in the order that `RandomStream(seed).permutation(size)` gives."""
    order = list(range(size))
    draws = [w for block in range(-(-size // 4)) for w in _words(seed, block)]
    for i in range(size - 1, 0, -1):
        # The upper 24 bits make the number in [0, 1).
        j = (draws[i] >> 8) * (i + 1) >> 24
        order[i], order[j] = order[j], order[i]
    return order


def _words(seed: int, block: int) -> list[int]:
    """Four numbers of 32 bits."""
    mask = 0xFFFFFFFF
    c0, c1, c2, c3 = block & mask, block >> 32, 0, 0
    k0, k1 = seed & mask, seed >> 32
    for _ in range(10):
        high, low = divmod(0xD2511F53 * c0, 1 << 32)
        other_high, other_low = divmod(0xCD9E8D57 * c2, 1 << 32)
        c0, c1, c2, c3 = other_high ^ c1 ^ k0, other_low, high ^ c3 ^ k1, low
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return [c0, c1, c2, c3]
