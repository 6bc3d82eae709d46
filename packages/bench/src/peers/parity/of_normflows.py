"""Layers of normflows 1.7.3. Its splines are set beside ours in their direction of the density, `inverse`."""

import torch
from case import SLOPE, Case, Net, apart, dense, factors, made_of_nflows, net, spread, triangles
from normflows import flows as f
from normflows.nets import LipschitzMLP
from torch import nn
from torch.nn import functional as F

SLOPES = [0.0] * 8 + [SLOPE] * 3


def none(m):
    return {}


def case(name, module, weights, x, context=None, *, turned=False, **options):
    if context is None:
        forward, inverse = (lambda m, x, c: m(x)), (lambda m, y, c: m.inverse(y)[0])
        density = lambda m, x, c: m.inverse(x)
        sample = lambda m, y, c: m(y)[0]
    else:
        forward, inverse = (lambda m, x, c: m(x, c)), (lambda m, y, c: m.inverse(y, c)[0])
        density = lambda m, x, c: m.inverse(x, c)
        sample = lambda m, y, c: m(y, c)[0]
    calls = (
        dict(forward=density, inverse=sample) if turned else dict(forward=forward, inverse=inverse)
    )
    return Case(name, module, weights, x, context, **{**calls, **options})


def lu(m):
    return torch.tril(m.L, -1) + torch.triu(m.U, 1) + torch.diag(m.log_S)


def lu_linear(m):
    diagonal = F.softplus(m.unconstrained_upper_diag) + m.eps
    return triangles(m.lower_entries, diagonal, m.upper_entries)


def residual_net(path, m, inputs, factor, ahead, size):
    """Of a `ResidualNet` of one block; `inputs` are the weights of its first layer."""
    first, second = m.blocks[0].linear_layers
    return {
        f"{path}.w": inputs,
        f"{path}.b": m.initial_layer.bias,
        **dense("conditioner.1.1", first),
        **dense("conditioner.1.3", second),
        **dense(
            "conditioner.2",
            m.final_layer,
            apart(2, size)[: 2 * len(factor)],
            spread(factor, 2),
            -spread(ahead, 2),
        ),
    }


def own(m, size, ahead):
    """The spline of the channels 0 and 2, among four of which the others stay."""
    u = m.prqct.unconditional_transform
    p = torch.cat([u.unnormalized_widths, u.unnormalized_heights, u.unnormalized_derivatives], -1)[
        :, :size
    ]
    less = torch.as_tensor(ahead)
    theirs = p - less
    zeros = torch.zeros(size)
    return torch.stack([theirs[0], zeros, theirs[1], zeros]).T.reshape(-1)


def coupled(m):
    net = m.prqct.transform_net
    factor = [6**-0.5] * 8 + [1.0] * 3
    return {
        **{
            k.replace("conditioner", "0.conditioner"): v
            for k, v in residual_net(
                "conditioner.0", net, net.initial_layer.weight, factor, SLOPES, 11
            ).items()
        },
        "1.p": own(m, 11, SLOPES),
    }


def circular(m):
    """With sine and cosine of the angles as inputs, whose weights are in the first layer here."""
    net = m.prqct.transform_net
    ahead = [0.0] * 8 + [SLOPE] * 4
    factor = [6**-0.5] * 8 + [1.0] * 4
    w, both = net.initial_layer.weight, net.preprocessing.weights
    inputs = torch.cat([w * both[:, 0], w * both[:, 1]], 1)
    ours = residual_net("conditioner.0.1", net, inputs, factor, ahead, 13)
    return {
        **{k.replace("conditioner", "0.conditioner"): v for k, v in ours.items()},
        "1.p": own(m, 12, ahead),
    }


def residual(m):
    ours = {}
    for i, layer in enumerate(m.iresblock.nnet.net):
        if i % 2 == 0:
            ours[f"block.{i}.beta"] = layer.beta
            continue
        with torch.no_grad():
            layer.compute_weight(update=True, n_iterations=200)
        ours |= {
            f"block.{i}.w": layer.weight,
            f"block.{i}.b": layer.bias,
            f"block.{i}.direction": layer.v.reshape(1, -1),
        }
    return ours


def glow(m):
    """A coupling by three convolutions, the inverse of a 1×1 convolution, a scale and a shift."""
    block, mixing, norm = m.flows
    convolutions = block.flows[1].param_map.net[0:5:2]
    ours = {
        "1.lu": lu(mixing),
        "2.scale": torch.exp(norm.s.reshape(-1)),
        "2.shift": norm.t.reshape(-1),
    }
    for i, conv in enumerate(convolutions):
        w, b = conv.weight, conv.bias
        if i == 2:
            # Shifts at the even channels, scales at the odd ones.
            w = torch.cat([-w[1::2], w[0::2]])
            b = torch.cat([-b[1::2] - 2, b[0::2]])
        ours |= {f"0.conditioner.{2 * i}.w": w, f"0.conditioner.{2 * i}.b": b}
    return ours


def cases():
    rows = [1, 3, 0, 2]
    for name, module, weights in (
        (
            "exp",
            f.AffineCouplingBlock(Net(3, 4)),
            lambda m: net("conditioner", m.flows[1].param_map, rows),
        ),
        (
            "sigmoid",
            f.AffineCouplingBlock(Net(3, 4), scale_map="sigmoid"),
            lambda m: net(
                "conditioner",
                m.flows[1].param_map,
                rows,
                [-1.0, -1.0, 1.0, 1.0],
                [-2.0, -2.0, 0.0, 0.0],
            ),
        ),
        (
            "sigmoid_inv",
            f.AffineCouplingBlock(Net(3, 4), scale_map="sigmoid_inv"),
            lambda m: net("conditioner", m.flows[1].param_map, rows),
        ),
        (
            "additive",
            f.AffineCouplingBlock(Net(3, 2), scale=False),
            lambda m: net("conditioner", m.flows[1].param_map),
        ),
    ):
        yield case(f"AffineCouplingBlock, {name}", module, weights, (4, 5))
    b = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    yield case(
        "MaskedAffineFlow",
        f.MaskedAffineFlow(b, Net(5, 5), Net(5, 5)),
        lambda m: {**net("conditioner.scale", m.s), **net("conditioner.shift", m.t)},
        (4, 5),
    )
    yield case(
        "AffineConstFlow",
        f.AffineConstFlow((3, 2, 2)),
        lambda m: {"p": torch.cat([m.s[0], m.t[0]])},
        (4, 3, 2, 2),
    )
    yield case(
        "CCAffineConst",
        f.CCAffineConst((3,), 2),
        lambda m: {
            "conditioner.w": torch.cat([m.s_cc.T, m.t_cc.T]),
            "conditioner.b": torch.cat([m.s[0], m.t[0]]),
        },
        (4, 3),
        (4, 2),
    )
    norm = f.ActNorm((3, 1, 1))
    norm.data_dep_init_done.fill_(1.0)
    yield case(
        "ActNorm",
        norm,
        lambda m: {"scale": torch.exp(m.s.reshape(-1)), "shift": m.t.reshape(-1)},
        (2, 3, 2, 2),
    )
    shuffle = f.Permute(5)
    yield case("Permute, shuffle", shuffle, none, (3, 5), given={"order": shuffle.perm.tolist()})
    yield case(
        "Permute, swap", f.Permute(5, mode="swap"), none, (3, 5), given={"order": [2, 3, 4, 0, 1]}
    )
    conv = f.Invertible1x1Conv(4, use_lu=True)
    given = {"rows": conv.P.argmax(1).tolist(), "signs": conv.sign_S.tolist()}
    yield case(
        "Invertible1x1Conv, LU",
        conv,
        lambda m: {"lu": lu(m)},
        (2, 4, 2, 3),
        given=given,
        deviation=0.1,
    )
    small = dict(deviation=0.05)
    for name, make, matrix, x in (
        ("Invertible1x1Conv", lambda: f.Invertible1x1Conv(4), lambda m: m.W, (2, 4, 2, 3)),
        (
            "InvertibleAffine, LU",
            lambda: f.InvertibleAffine(4),
            lambda m: m._assemble_W().T,
            (4, 4),
        ),
        ("InvertibleAffine", lambda: f.InvertibleAffine(4, use_lu=False), lambda m: m.W.T, (4, 4)),
    ):
        module = make()
        _, at, signs = factors(matrix(module).detach())
        weights = lambda m, matrix=matrix: {"lu": factors(matrix(m))[0]}
        yield case(name, module, weights, x, given={"rows": at, "signs": signs}, **small)
    mixed = f.LULinearPermute(4)
    yield case(
        "LULinearPermute",
        mixed,
        lambda m: {"1.lu": lu_linear(m.linear), "2.p": m.linear.bias},
        (4, 4),
        given={"order": mixed.permutation._permutation.tolist()},
    )
    planar = lambda m: {"u": m.u[0], "w": m.w[0], "b": m.b}
    yield case("Planar, tanh", f.Planar((3,)), planar, (4, 3), inverse=None)
    yield case("Planar, leaky_relu", f.Planar((3,), act="leaky_relu"), planar, (4, 3))
    yield case(
        "Radial",
        f.Radial((3,)),
        lambda m: {"center": m.z_0[0], "alpha": m.alpha, "beta": m.beta},
        (4, 3),
        inverse=None,
    )
    angles = 1.8 * torch.rand(4, 3) - 0.9
    yield case(
        "PeriodicShift",
        f.PeriodicShift([0, 2], bound=1.0, shift=0.25),
        lambda m: {"shift": torch.full((2,), 0.25)},
        angles,
    )
    yield case(
        "PeriodicWrap",
        f.PeriodicWrap([0, 2], bound=1.0),
        lambda m: {"shift": torch.zeros(2)},
        angles,
        turned=True,
    )
    yield case("Squeeze", f.Squeeze(), none, (2, 8, 2, 3))
    yield case(
        "MaskedAffineAutoregressive",
        f.MaskedAffineAutoregressive(3, 6, num_blocks=1, activation=torch.tanh),
        lambda m: made_of_nflows("conditioner", m.autoregressive_net, 3, 2),
        (4, 3),
    )
    spline = dict(num_bins=4, tail_bound=2.0, activation=nn.Tanh)
    yield case(
        "CoupledRationalQuadraticSpline",
        f.CoupledRationalQuadraticSpline(4, 1, 6, **spline),
        coupled,
        (4, 4),
        turned=True,
        deviation=0.2,
    )
    yield case(
        "CircularCoupledRationalQuadraticSpline",
        f.CircularCoupledRationalQuadraticSpline(4, 1, 6, [0, 1, 2, 3], **spline),
        circular,
        3.6 * torch.rand(4, 4) - 1.8,
        turned=True,
        deviation=0.2,
    )
    yield case(
        "AutoregressiveRationalQuadraticSpline",
        f.AutoregressiveRationalQuadraticSpline(3, 1, 6, **spline),
        lambda m: made_of_nflows("conditioner", m.mprqat.autoregressive_net, 3, 11, ahead=SLOPES),
        (4, 3),
        turned=True,
        deviation=0.2,
    )
    module = f.Residual(LipschitzMLP([2, 5, 2], init_zeros=False), reverse=False)
    yield case("Residual, brute_force", module, residual, (4, 2), inverse=None)
    block = f.GlowBlock(4, 3, init_zeros=False)
    block.flows[2].data_dep_init_done.fill_(1.0)
    mixing = block.flows[1]
    given = {"rows": mixing.P.argmax(1).tolist(), "signs": mixing.sign_S.tolist()}
    yield case("GlowBlock", block, glow, (2, 4, 3, 2), given=given, deviation=0.1)
