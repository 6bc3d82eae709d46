"""Derivatives that are part of a map: products with a Jacobian, and the Jacobian of each sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Pull = Callable[[Tensor], Tensor]
"""d ↦ Jᵀd, the product with the transpose of a Jacobian."""


def pullback(f: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Pull]:
    """f(x), and d ↦ Jᵀd with J = ∂f/∂x, where no gradients are asked for as well."""
    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        y = f(x)

    def pull(d: Tensor) -> Tensor:
        trained = torch.is_grad_enabled()
        return torch.autograd.grad(y, x, d, retain_graph=True, create_graph=trained)[0]

    return y if torch.is_grad_enabled() else y.detach(), pull


def unit_vectors(x: Tensor) -> Iterator[Tensor]:
    """For each number of a sample what is 1 there and 0 elsewhere, in all samples."""
    for k in range(x[:1].numel()):
        unit = x.new_zeros(len(x), x[:1].numel())
        unit[:, k] = 1
        yield unit.reshape(x.shape)


def jacobian(pull: Pull, x: Tensor) -> Tensor:
    """J at x, [N, D, D] for samples of D numbers: a product for each of its rows."""
    return torch.stack([pull(unit).flatten(1) for unit in unit_vectors(x)], 1)
