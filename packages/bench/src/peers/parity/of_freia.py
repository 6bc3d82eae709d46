"""Layers of FrEIA 0.2."""

import FrEIA.modules as fm
import torch
from case import Case, Net, factors, net

VECTOR, IMAGE, CONTEXT = [(5,)], [(3, 4, 2)], [(2,)]


def forward(m, x, c):
    y, logdet = m([x], [] if c is None else [c])
    return y[0], logdet


def plain(m, x, c):
    y, logdet = m([x])
    return y[0], logdet


def inverse(m, y, c):
    return m([y], [] if c is None else [c], rev=True)[0][0]


def back(m, y, c):
    return m([y], rev=True)[0][0]


def case(name, module, weights, *, conditioned=False, x=(4, 5), **options):
    calls = dict(forward=plain, inverse=back)
    if conditioned:
        calls = dict(forward=forward, inverse=inverse, context=(4, 2))
    return Case(name, module.double(), weights, x, **{**calls, **options})


def none(m):
    return {}


def both(first, second):
    return lambda m: {**net("first.conditioner", first(m)), **net("second.conditioner", second(m))}


def joined(m):
    """Networks for the scale and for the shift of either part."""
    return {
        **net("first.conditioner.scale", m.subnet_s2),
        **net("first.conditioner.shift", m.subnet_t2),
        **net("second.conditioner.scale", m.subnet_s1),
        **net("second.conditioner.shift", m.subnet_t1),
    }


def all_in_one(m):
    ours = {**net("coupling.conditioner", m.subnet)}
    parts = [m.global_offset] if m.GIN else [m.global_scale, m.global_offset]
    ours["affine.p"] = torch.cat([p.reshape(-1) for p in parts])
    if m.householder:
        ours |= {f"reflections.v{k + 1}": v for k, v in enumerate(m.vk_householder.reshape(-1, 5))}
    if m.given is not None:
        ours["permutation.lu"] = m.given
    return ours


def rotation():
    """FrEIA draws its own in float32, whose transposed matrix is its inverse to seven digits only."""
    r = torch.eye(5)
    r[:4, :4] -= 0.5
    return r[[3, 0, 4, 2, 1]]


def soft(module):
    """With the factors of its rotation, which is not trained."""
    r = rotation()
    module.w_perm.data, module.w_perm_inv.data = r.clone(), r.T.clone()
    module.given, rows, signs = factors(r)
    return module, {"rows": rows, "signs": signs}


def hard(module, w):
    module.given = None
    return module, {"order": w.detach().reshape(5, 5).argmax(1).tolist()}


def fixed_linear(m):
    return {"mix.lu": factors(m.M.detach().T)[0], "shift.p": m.b.reshape(-1)}


def orthogonal(m):
    """Its matrix is held: directions that leave the rotations have no counterpart."""
    log_scale = m._log_e(m.scaling).reshape(-1)
    return {
        "0.a": torch.zeros(5, 5),
        "1.p": torch.cat([m.scaling.reshape(-1), torch.exp(log_scale) * m.bias.reshape(-1)]),
    }


def residual(m):
    """With weights whose norms are well below the bound; there it is kept in another way."""
    with torch.no_grad():
        for layer in m.layers:
            layer.weight *= 0.5 / torch.linalg.matrix_norm(layer.weight, 2)
    ours = {}
    for i, layer in enumerate(m.layers):
        ours |= {f"block.{2 * i}.w": layer.weight, f"block.{2 * i}.b": layer.bias}
    return ours


def cases():
    coupled = dict(dims_in=VECTOR, dims_c=CONTEXT, subnet_constructor=Net, clamp=1.5)
    glow = both(lambda m: m.subnet2, lambda m: m.subnet1)
    yield case(
        "NICECouplingBlock",
        fm.NICECouplingBlock(VECTOR, CONTEXT, Net),
        both(lambda m: m.F, lambda m: m.G),
        conditioned=True,
    )
    yield case("RNVPCouplingBlock", fm.RNVPCouplingBlock(**coupled), joined, conditioned=True)
    for clamp in ("ATAN", "TANH", "SIGMOID"):
        module = fm.GLOWCouplingBlock(**coupled, clamp_activation=clamp)
        yield case(f"GLOWCouplingBlock, {clamp}", module, glow, conditioned=True)
    yield case(
        "GLOWCouplingBlock, split_len",
        fm.GLOWCouplingBlock(**coupled, split_len=0.3),
        glow,
        conditioned=True,
    )
    yield case("GINCouplingBlock", fm.GINCouplingBlock(**coupled), glow, conditioned=True)
    one = lambda m: net("conditioner", m.subnet)
    yield case(
        "AffineCouplingOneSided", fm.AffineCouplingOneSided(**coupled), one, conditioned=True
    )
    yield case(
        "ConditionalAffineTransform",
        fm.ConditionalAffineTransform(**coupled),
        one,
        conditioned=True,
    )
    block = dict(dims_in=VECTOR, dims_c=CONTEXT, subnet_constructor=Net)
    for name, options in (
        ("soft, SOFTPLUS", dict(permute_soft=True)),
        ("soft, SIGMOID", dict(permute_soft=True, global_affine_type="SIGMOID")),
        (
            "soft, EXP, reversed",
            dict(permute_soft=True, global_affine_type="EXP", reverse_permutation=True),
        ),
        ("soft, GIN", dict(permute_soft=True, gin_block=True)),
    ):
        module, given = soft(fm.AllInOneBlock(**block, **options))
        yield case(f"AllInOneBlock, {name}", module, all_in_one, conditioned=True, given=given)
    module = fm.AllInOneBlock(**block).double()
    module, given = hard(module, module.w_perm)
    yield case("AllInOneBlock, hard", module, all_in_one, conditioned=True, given=given)
    module = fm.AllInOneBlock(**block, learned_householder_permutation=3)
    module, given = hard(module, module.w_0)
    yield case("AllInOneBlock, Householder", module, all_in_one, conditioned=True, given=given)

    module = fm.PermuteRandom(VECTOR)
    yield case("PermuteRandom", module, none, given={"order": module.perm.tolist()})
    m, b = torch.randn(5, 5), torch.randn(5)
    yield case(
        "FixedLinearTransform",
        fm.FixedLinearTransform(VECTOR, M=m, b=b),
        fixed_linear,
        given={"matrix": m.reshape(-1).tolist()},
    )
    m = torch.randn(3, 3)
    yield case(
        "Fixed1x1Conv",
        fm.Fixed1x1Conv(IMAGE, M=m),
        lambda m: {"lu": factors(m.M.detach().reshape(3, 3))[0]},
        x=(2, 3, 4, 2),
        given={"matrix": m.T.reshape(-1).tolist()},
    )
    yield case("InvertibleSigmoid", fm.InvertibleSigmoid(VECTOR), none)
    module = fm.ActNorm(IMAGE)
    module.init_on_next_batch = False
    yield case(
        "ActNorm",
        module,
        lambda m: {"scale": torch.exp(m.scale.reshape(-1)), "shift": m.bias.reshape(-1)},
        x=(2, 3, 4, 2),
    )
    yield case(
        "HouseholderPerm",
        fm.HouseholderPerm(VECTOR, n_reflections=3),
        lambda m: {f"v{3 - k}": v for k, v in enumerate(m.Vs)},
    )
    yield case("InvAutoAct", fm.InvAutoAct(VECTOR), lambda m: {"above": m.alpha.reshape(-1)})
    yield case(
        "InvAutoActFixed",
        fm.InvAutoActFixed(VECTOR, learnable=False),
        lambda m: {"above": m.alpha.reshape(-1)},
    )
    yield case(
        "InvAutoActTwoSided",
        fm.InvAutoActTwoSided(IMAGE),
        lambda m: {"above": m.alpha_pos.reshape(-1), "below": m.alpha_neg.reshape(-1)},
        x=(2, 3, 4, 2),
    )
    yield case(
        "LearnedElementwiseScaling",
        fm.LearnedElementwiseScaling([(3, 2)]),
        lambda m: {"p": m.s[0]},
        x=(4, 3, 2),
    )
    yield case(
        "IResNetLayer",
        fm.IResNetLayer(VECTOR, internal_size=6),
        residual,
        forward=lambda m, x, c: (m([x], jac=False)[0][0], None),
        inverse=lambda m, y, c: m([y], rev=True, jac=False)[0][0],
        deviation=0.0,
    )
    yield case(
        "IRevNetDownsampling, legacy_backend",
        fm.IRevNetDownsampling(IMAGE, legacy_backend=True),
        none,
        x=(2, 3, 4, 2),
    )
    yield case("HaarDownsampling, by channels", fm.HaarDownsampling(IMAGE), none, x=(2, 3, 4, 2))
    yield case("IRevNetDownsampling", fm.IRevNetDownsampling(IMAGE), none, x=(2, 3, 4, 2))
    yield case("IRevNetUpsampling", fm.IRevNetUpsampling([(8, 2, 3)]), none, x=(2, 8, 2, 3))
    yield case(
        "HaarDownsampling", fm.HaarDownsampling(IMAGE, order_by_wavelet=True), none, x=(2, 3, 4, 2)
    )
    yield case(
        "HaarUpsampling",
        fm.HaarUpsampling([(8, 2, 3)], order_by_wavelet=True),
        none,
        x=(2, 8, 2, 3),
    )
    yield case("Flatten", fm.Flatten(IMAGE), none, x=(2, 3, 4, 2))
    yield case("Reshape", fm.Reshape(IMAGE, output_dims=(6, 4)), none, x=(2, 3, 4, 2))
    module = fm.OrthogonalTransform(VECTOR, clamp=2.0)
    module.weights.requires_grad = False
    module.weights.data = rotation()
    module._backward_hooks.clear()
    yield case(
        "OrthogonalTransform",
        module,
        orthogonal,
        given={"start": module.weights.T.reshape(-1).tolist()},
    )
