"""Layers of zuko 1.6."""

import math

import torch
import zuko
from case import Case, apart, dense, made
from torch import nn
from zuko import transforms as t
from zuko.flows.spline import CircularRQSTransform

RQS = dict(univariate=t.MonotonicRQSTransform, shapes=[(4,), (4,), (3,)])
SCALE_FIRST = [1, 0]


class Held(nn.Module):
    """A transform of tensors, which are parameters."""

    def __init__(self, make, *tensors):
        super().__init__()
        self.make, self.tensors = make, nn.ParameterList(tensors)

    def forward(self, c=None):
        return self.make(*self.tensors)


def forward(m, x, c):
    y, logdet = m(c).call_and_ladj(x)
    return y, logdet if logdet.ndim == 1 else logdet.sum(-1)


def case(name, module, weights, x, context=None, **options):
    inverse = lambda m, y, c: m(c).inv(y)
    return Case(
        name, module, weights, x, context, **{"forward": forward, "inverse": inverse, **options}
    )


def none(m):
    return {}


def mlp(channels, size, results=None):
    """A layer, tanh, a layer, whose results lie side by side for each channel."""
    rows = (
        apart(channels, size)
        if results is None
        else [c * size + j for j in results for c in range(channels)]
    )
    return lambda m: {
        **dense("conditioner.0", m.hyper[0]),
        **dense("conditioner.2", m.hyper[2], rows),
    }


def masked(channels, results, order=None):
    def weights(m):
        layers = []
        for part in m.hyper:
            layers += [part] if isinstance(part, zuko.nn.MaskedLinear) else []
            layers += [part[0], part[2]] if isinstance(part, zuko.nn.Residual) else []
        return made(
            "conditioner",
            [(l.weight, l.bias, l.mask) for l in layers],
            [],
            channels,
            results,
            order=order,
        )

    return weights


def lu(m):
    (matrix,) = m.tensors
    diagonal = torch.diagonal(matrix)
    below, above = torch.tril(matrix, -1) / diagonal, diagonal[:, None] * torch.triu(matrix, 1)
    return {"lu": below + above + torch.diag(torch.log(torch.abs(diagonal)))}


def cases():
    own = zuko.flows.ElementWiseTransform
    small = dict(hidden_features=[5], activation=nn.Tanh)
    yield case(
        "MonotonicAffineTransform", own(3), lambda m: {"p": torch.cat([m.phi[1], m.phi[0]])}, (4, 3)
    )
    yield case(
        "MonotonicRQSTransform",
        own(3, **RQS),
        lambda m: {"p": torch.cat([*m.phi], -1).T.reshape(-1)},
        (4, 3),
    )
    yield case("ElementWiseTransform", own(3, 2, **small), mlp(3, 2, SCALE_FIRST), (4, 3), (4, 2))
    coupling = zuko.flows.GeneralCouplingTransform
    yield case(
        "GeneralCouplingTransform", coupling(5, 2, **small), mlp(3, 2, SCALE_FIRST), (4, 5), (4, 2)
    )
    yield case(
        "GeneralCouplingTransform, RQS", coupling(5, 2, **small, **RQS), mlp(3, 11), (4, 5), (4, 2)
    )
    maf = zuko.flows.MaskedAutoregressiveTransform
    yield case(
        "MaskedAutoregressiveTransform",
        maf(3, 2, order=[2, 0, 1], hidden_features=[6, 5], activation=nn.Tanh),
        masked(3, SCALE_FIRST, [1, 2, 0]),
        (4, 3),
        (4, 2),
    )
    yield case(
        "MaskedAutoregressiveTransform, residual",
        maf(3, 2, hidden_features=[6, 6], residual=True, activation=nn.Tanh),
        masked(3, SCALE_FIRST),
        (4, 3),
        (4, 2),
    )
    graph = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]]) > 0
    yield case(
        "MaskedAutoregressiveTransform, adjacency",
        maf(4, adjacency=graph, **{**small, "hidden_features": [6]}),
        masked(4, SCALE_FIRST, [1, 2, 0, 3]),
        (4, 4),
    )
    yield case(
        "MaskedAutoregressiveTransform, passes=2",
        maf(4, passes=2, **{**small, "hidden_features": [6]}),
        masked(4, SCALE_FIRST),
        (4, 4),
    )
    yield case(
        "MaskedAutoregressiveTransform, RQS",
        maf(3, 2, **{**small, "hidden_features": [6]}, **RQS),
        masked(3, range(11)),
        (4, 3),
        (4, 2),
        deviation=0.2,
    )
    circular = {**RQS, "univariate": CircularRQSTransform}
    yield case(
        "CircularRQSTransform",
        own(3, **circular),
        lambda m: {
            "0.shift": torch.full((3,), math.pi),
            "1.p": torch.cat([*m.phi], -1).T.reshape(-1),
        },
        6 * torch.rand(4, 3) - 3,
    )
    yield case(
        "AdditiveTransform",
        Held(t.AdditiveTransform, torch.randn(3)),
        lambda m: {"p": m.tensors[0]},
        (4, 3),
    )
    yield case(
        "NICE",
        zuko.flows.NICE(4, 2, transforms=2, **small).transform,
        lambda m: {
            f"{i}.{path}": p
            for i, part in enumerate(m.transforms)
            for path, p in mlp(2, 2, SCALE_FIRST)(part).items()
        },
        (4, 4),
        (4, 2),
    )
    yield case(
        "RotationTransform",
        Held(t.RotationTransform, torch.randn(4, 4)),
        lambda m: {"a": m.tensors[0]},
        (4, 4),
    )
    matrix = torch.eye(4) * torch.tensor([1.5, -2.0, 2.0, 1.0])
    yield case(
        "LULinearTransform",
        Held(t.LULinearTransform, matrix),
        lu,
        (4, 4),
        given={"signs": [1, -1, 1, 1]},
        deviation=0.2,
    )
    order = torch.tensor([2, 0, 3, 1])
    yield case(
        "PermutationTransform",
        Held(lambda: t.PermutationTransform(order)),
        none,
        (3, 4),
        given={"order": order.tolist()},
    )
    yield case(
        "CircularShiftTransform",
        Held(lambda: t.CircularShiftTransform(bound=1.0)),
        lambda m: {"shift": torch.full((3,), 1.0)},
        1.8 * torch.rand(4, 3) - 0.9,
        forward=lambda m, x, c: (m(c)(x), 0.0),
    )
    yield case("SoftclipTransform", Held(lambda: t.SoftclipTransform(bound=2.0)), none, (4, 3))
