"""Layers of nflows 0.14.

The inverse of its linear splines moves the last edge by 10⁻⁶, and with it the numbers of the last bin: ours is set beside
the input instead.
"""

import numpy as np
import torch
from case import SLOPE, Case, Net, apart, factors, made_of_nflows, net, spread, triangles
from nflows import transforms as t
from torch.nn import functional as F

MASK = torch.tensor([-1, 1, 1, -1, 1])
SOFT = dict(num_blocks=1, activation=torch.tanh)


def inside(*shape):
    """Numbers within the unit interval, of splines without tails."""
    return 0.1 + 0.8 * torch.rand(*shape)


def lu_linear(m):
    diagonal = F.softplus(m.unconstrained_upper_diag) + m.eps
    return triangles(m.lower_entries, diagonal, m.upper_entries)


def reflections(path, m):
    vectors = m.q_vectors.flip(0)
    return {f"{path}v{k + 1}": v for k, v in enumerate(vectors)}


def svd_linear(m):
    return {
        **reflections("0.", m.orthogonal_2),
        "1.p": torch.cat([torch.log(m.diagonal), torch.zeros_like(m.bias)]),
        **reflections("2.", m.orthogonal_1),
        "3.p": m.bias,
    }


def qr_linear(m):
    upper = triangles(
        torch.zeros_like(m.upper_entries), torch.exp(m.log_upper_diag), m.upper_entries
    )
    return {"0.lu": upper, **reflections("1.", m.orthogonal), "2.p": m.bias}


def coupling(name, kind, size, ahead=0.0, **options):
    """Of a spline, with a context."""
    module = kind(MASK, lambda i, o: Net(i + 2, o), **options)
    free = options.get("tails") is None
    return Case(
        name,
        module,
        lambda m: net(
            "conditioner",
            m.transform_net,
            apart(3, size),
            1.0,
            -spread(ahead, 3) if ahead != 0.0 else 0.0,
        ),
        inside(4, 5) if free else (4, 5),
        (4, 2),
        **({"inverse": None} if kind is t.PiecewiseLinearCouplingTransform else {}),
        deviation=0.2,
    )


def autoregressive(name, kind, size, x, context=None, ahead=0.0, **options):
    module = kind(features=3, hidden_features=6, context_features=context, **{**SOFT, **options})
    return Case(
        name,
        module,
        lambda m: made_of_nflows("conditioner", m.autoregressive_net, 3, size, ahead=ahead),
        x,
        None if context is None else (4, context),
        **({"inverse": None} if kind is t.MaskedPiecewiseLinearAutoregressiveTransform else {}),
        deviation=0.2,
    )


def elementwise(name, kind, parts, ahead=0.0, **options):
    """A spline with parameters of its own, [channels, …]."""

    def weights(m):
        p = torch.cat([getattr(m, part) for part in parts], -1).T.reshape(-1)
        return {"p": p - spread(ahead, 3) if ahead != 0.0 else p}

    free = options.get("tails") is None
    inexact = {"inverse": None} if kind is t.PiecewiseLinearCDF else {}
    return Case(
        name, kind([3], num_bins=4, **options), weights, inside(4, 3) if free else (4, 3), **inexact
    )


def inner_of(m):
    return m._transforms[1]


def cases():
    none = lambda m: {}
    ours = lambda path, get: lambda m: {path: get(m)}
    norm = t.ActNorm(3)
    norm.initialized.fill_(True)
    yield Case(
        "ActNorm", norm, lambda m: {"scale": torch.exp(m.log_scale), "shift": m.shift}, (2, 3, 2, 2)
    )
    batch = t.BatchNorm(3)
    batch.running_mean.copy_(torch.tensor([0.5, -0.25, 1.0]))
    batch.running_var.copy_(torch.tensor([0.5, 2.0, 1.5]))
    yield Case(
        "BatchNorm",
        batch,
        lambda m: {
            "scale": F.softplus(m.unconstrained_weight) + m.eps,
            "shift": m.bias,
            "runningMean": m.running_mean,
            "runningVariance": m.running_var,
        },
        (4, 3),
    )
    yield Case(
        "AffineCouplingTransform",
        t.AffineCouplingTransform(MASK, lambda i, o: Net(i + 2, o)),
        # Shifts before scales.
        lambda m: net("conditioner", m.transform_net, [3, 4, 5, 0, 1, 2]),
        (4, 5),
        (4, 2),
    )
    yield Case(
        "AdditiveCouplingTransform",
        t.AdditiveCouplingTransform(MASK, lambda i, o: Net(i + 2, o)),
        lambda m: net("conditioner", m.transform_net),
        (4, 5),
        (4, 2),
    )
    slopes = [0.0] * 8 + [SLOPE] * 3
    edges = [0.0] * 8 + [SLOPE] * 5
    rational = t.PiecewiseRationalQuadraticCouplingTransform
    yield coupling(
        "PiecewiseRationalQuadraticCouplingTransform",
        rational,
        11,
        slopes,
        num_bins=4,
        tails="linear",
        tail_bound=2.0,
    )
    yield coupling(
        "PiecewiseRationalQuadraticCouplingTransform, no tails", rational, 13, edges, num_bins=4
    )
    yield coupling(
        "PiecewiseQuadraticCouplingTransform", t.PiecewiseQuadraticCouplingTransform, 9, num_bins=4
    )
    yield coupling(
        "PiecewiseLinearCouplingTransform", t.PiecewiseLinearCouplingTransform, 4, num_bins=4
    )
    yield autoregressive(
        "MaskedAffineAutoregressiveTransform",
        t.MaskedAffineAutoregressiveTransform,
        2,
        (4, 3),
        context=2,
    )
    yield autoregressive(
        "MaskedAffineAutoregressiveTransform, no residual blocks",
        t.MaskedAffineAutoregressiveTransform,
        2,
        (4, 3),
        use_residual_blocks=False,
    )
    yield autoregressive(
        "MaskedPiecewiseRationalQuadraticAutoregressiveTransform",
        t.MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
        11,
        (4, 3),
        context=2,
        ahead=slopes,
        num_bins=4,
        tails="linear",
        tail_bound=2.0,
    )
    yield autoregressive(
        "MaskedPiecewiseQuadraticAutoregressiveTransform",
        t.MaskedPiecewiseQuadraticAutoregressiveTransform,
        9,
        inside(4, 3),
        num_bins=4,
    )
    yield autoregressive(
        "MaskedPiecewiseLinearAutoregressiveTransform",
        t.MaskedPiecewiseLinearAutoregressiveTransform,
        4,
        inside(4, 3),
        num_bins=4,
    )
    wide = ["unnormalized_widths", "unnormalized_heights"]
    yield elementwise(
        "PiecewiseRationalQuadraticCDF",
        t.PiecewiseRationalQuadraticCDF,
        [*wide, "unnormalized_derivatives"],
        slopes,
        tails="linear",
        tail_bound=2.0,
    )
    yield elementwise("PiecewiseQuadraticCDF", t.PiecewiseQuadraticCDF, wide)
    yield elementwise("PiecewiseLinearCDF", t.PiecewiseLinearCDF, ["unnormalized_pdf"])
    yield Case("LULinear", t.LULinear(4), lambda m: {"0.lu": lu_linear(m), "1.p": m.bias}, (4, 4))
    naive = t.NaiveLinear(4, orthogonal_initialization=False)
    _, rows, signs = factors(naive._weight.detach())
    yield Case(
        "NaiveLinear",
        naive,
        lambda m: {"0.lu": factors(m._weight)[0], "1.p": m.bias},
        (4, 4),
        # It calls a function that torch no longer has.
        inverse=None,
        given={"rows": rows, "signs": signs},
        deviation=0.02,
    )
    yield Case("QRLinear", t.QRLinear(4, 3), qr_linear, (4, 4))
    yield Case("SVDLinear", t.SVDLinear(4, 2), svd_linear, (4, 4))
    yield Case(
        "HouseholderSequence",
        t.HouseholderSequence(4, 3),
        lambda m: reflections("", m),
        (4, 4),
        deviation=1.0,
    )
    conv = t.OneByOneConvolution(4)
    yield Case(
        "OneByOneConvolution",
        conv,
        lambda m: {"1.lu": lu_linear(m), "2.p": m.bias},
        (2, 4, 2, 3),
        given={"order": conv.permutation._permutation.tolist()},
    )
    mixed = t.RandomPermutation(5)
    yield Case(
        "RandomPermutation", mixed, none, (3, 5), given={"order": mixed._permutation.tolist()}
    )
    yield Case("ReversePermutation", t.ReversePermutation(5), none, (3, 5))
    yield Case(
        "PointwiseAffineTransform",
        t.PointwiseAffineTransform(
            shift=torch.tensor([1.0, -0.5, 0.25]), scale=torch.tensor([0.5, 2.0, 1.5])
        ),
        lambda m: {"p": torch.cat([torch.log(m._scale), m._shift])},
        (4, 3),
    )
    yield Case(
        "GatedLinearUnit",
        t.GatedLinearUnit(),
        # A layer of the context that gives it back: fixed, as there is none there.
        lambda m: {"conditioner.w": torch.eye(1), "conditioner.b": torch.zeros(1)},
        (4, 1),
        (4, 1),
    )
    yield Case("SqueezeTransform", t.SqueezeTransform(), none, (2, 3, 4, 2))
    squash = t.Sigmoid()
    inner = t.PiecewiseQuadraticCDF([3], num_bins=4)
    yield Case(
        "CompositeCDFTransform",
        t.CompositeCDFTransform(squash, inner),
        lambda m: {"1.p": torch.cat([getattr(inner_of(m), k) for k in wide], -1).T.reshape(-1)},
        (4, 3),
    )
    yield Case("Sigmoid", t.Sigmoid(), none, (4, 3))
    yield Case("Logit", t.Logit(), none, inside(4, 3))
    yield Case("Tanh", t.Tanh(), none, (4, 3))
    yield Case("LeakyReLU", t.LeakyReLU(0.25), none, (4, 3))
