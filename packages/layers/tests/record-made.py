"""
Records what nflows 0.14 and zuko 1.6 compute with autoregressive transforms, in float64, for
autoregressive.test.ts: python3 packages/layers/tests/record-made.py
"""

import json
from pathlib import Path

import torch
import zuko
from nflows.transforms.autoregressive import (
    MaskedAffineAutoregressiveTransform,
    MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
)

torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(3)


def normal(*shape):
    return torch.randn(*shape, generator=generator)


def scatter(module):
    for p in module.parameters():
        p.data = 0.6 * normal(*p.shape)


def numbers(t):
    return t.detach().tolist()


def layer(m):
    mask = m.mask.double() if m.mask.dtype == torch.bool else m.mask
    return {"w": numbers(m.weight), "b": numbers(m.bias), "mask": numbers(mask)}


def results(forward, x, context):
    x.requires_grad_(True)
    y, logdet = forward(x, context)
    (y.square().sum() + logdet.square().sum()).backward()
    c = {} if context is None else {"context": numbers(context)}
    return {"x": numbers(x), **c, "y": numbers(y), "logdet": numbers(logdet), "dx": numbers(x.grad)}


def of_nflows(kind, features, blocks, context, residual, **options):
    t = kind(
        features, 5, context or None, num_blocks=blocks, use_residual_blocks=residual, **options
    )
    scatter(t)
    net = t.autoregressive_net
    linears = [net.initial_layer]
    for b in net.blocks:
        linears += b.linear_layers if residual else [b.linear]
    contexts = []
    if context:
        contexts = [net.context_layer, *(b.context_layer for b in net.blocks if residual)]
    return {
        "layers": [layer(m) for m in [*linears, net.final_layer]],
        "contexts": [{"w": numbers(m.weight), "b": numbers(m.bias)} for m in contexts],
        **results(t, normal(4, features), normal(4, context) if context else None),
    }


def of_zuko(features, context, **options):
    t = zuko.flows.MaskedAutoregressiveTransform(features, context, **options)
    scatter(t)
    linears = []
    for m in t.hyper:
        linears += [m] if isinstance(m, zuko.nn.MaskedLinear) else []
        linears += [m[0], m[2]] if isinstance(m, zuko.nn.Residual) else []
    forward = lambda x, c: t(c).call_and_ladj(x)
    return {
        "layers": [layer(m) for m in linears],
        "contexts": [],
        **results(forward, normal(4, features), normal(4, context) if context else None),
    }


graph = [[1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]]
folder = Path(__file__).parent / "recorded"
(folder / "made.json").write_text(
    json.dumps(
        {
            "nflows": of_nflows(MaskedAffineAutoregressiveTransform, 3, 2, 2, True),
            "nflows, no residual blocks": of_nflows(
                MaskedAffineAutoregressiveTransform, 4, 1, 0, False
            ),
            "nflows, splines": of_nflows(
                MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
                *(3, 1, 0, True),
                **{"num_bins": 3, "tails": "linear", "tail_bound": 2.0},
            ),
            "zuko": of_zuko(3, 2, order=[2, 0, 1], hidden_features=[5, 4]),
            "zuko, graph": of_zuko(4, 0, adjacency=torch.tensor(graph) > 0, hidden_features=[6]),
            "zuko, residual": of_zuko(3, 2, hidden_features=[5, 5], residual=True),
            "zuko, splines": of_zuko(
                *(3, 0),
                hidden_features=[6],
                univariate=zuko.transforms.MonotonicRQSTransform,
                shapes=[(3,), (3,), (2,)],
            ),
        }
    )
    + "\n"
)
