"""Training steps of two couplings by rational-quadratic splines, in nflows and zuko.

Called with a library, a problem (own-splines.ts) and a number of threads; the lines are those of training.py. nflows
computes what ours does, from our parameters; zuko's conditioners are masked, and its splines have other slopes.
"""

import json
import math
import sys
import time
from pathlib import Path

import numpy
import torch
from torch import nn

library, path, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
torch.manual_seed(0)
sizes = json.loads(Path(path).read_text())
numbers = torch.from_numpy(numpy.fromfile(sizes["numbers"], dtype=numpy.float32))
batch, features, hidden, bins = (sizes[n] for n in ("batch", "features", "hidden", "bins"))
x, rest = numbers[: batch * features].reshape(batch, features), numbers[batch * features :]


def take(*shape):
    global rest
    size = math.prod(shape)
    values, rest = rest[:size].reshape(shape), rest[size:]
    return values


class Conditioner(nn.Module):
    """Ours, whose last layer has its rows by channels here, and slopes that start at one."""

    def __init__(self, inside, outside):
        super().__init__()
        widths = [inside, hidden, hidden, outside]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        with torch.no_grad():
            for layer in self.layers:
                layer.weight.copy_(take(*layer.weight.shape))
                layer.bias.copy_(take(*layer.bias.shape))
            size = 3 * bins - 1
            channels, last = outside // size, self.layers[-1]
            last.weight.copy_(last.weight.reshape(size, channels, -1).transpose(0, 1).flatten(0, 1))
            bias = last.bias.reshape(size, channels).T.clone()
            bias[:, 2 * bins :] += math.log(math.expm1(1 - 1e-3))
            last.bias.copy_(bias.flatten())

    def forward(self, x, context=None):
        first, second, last = self.layers
        return last(torch.relu(second(torch.relu(first(x)))))


def nflows():
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import CompositeTransform, PiecewiseRationalQuadraticCouplingTransform

    half = features // 2
    halves = [0] * half + [1] * (features - half)
    couplings = [
        PiecewiseRationalQuadraticCouplingTransform(
            mask, Conditioner, num_bins=bins, tails="linear", tail_bound=sizes["bound"]
        )
        for mask in (halves, [1 - m for m in halves])
    ]
    flow = Flow(CompositeTransform(couplings), StandardNormal([features]))
    compared = [
        p
        for coupling in couplings
        for layer in coupling.transform_net.layers[:2]
        for p in (layer.weight, layer.bias)
    ]
    return flow, lambda: -flow.log_prob(x).mean(), compared


def zuko():
    from zuko.flows import NSF

    flow = NSF(features, bins=bins, transforms=2, passes=2, hidden_features=[hidden, hidden])
    return flow, lambda: -flow().log_prob(x).mean(), None


model, loss_of, compared = {"nflows": nflows, "zuko": zuko}[library]()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-9)


def differentiate():
    optimizer.zero_grad()
    loss = loss_of()
    loss.backward()
    return loss


def say(answer):
    print(json.dumps(answer), flush=True)


differentiate()
say([{"name": "splines", "compared": compared is not None}])
for line in sys.stdin:
    request, _, *file = line.split(maxsplit=2)
    if request == "result":
        arrays = [differentiate().detach(), *(p.grad for p in compared)]
        arrays = [a.flatten().numpy() for a in arrays]
        numpy.concatenate(arrays).tofile(file[0].strip())
        say({"lengths": [a.size for a in arrays]})
        continue
    start = time.perf_counter()
    differentiate()
    optimizer.step()
    say({"milliseconds": 1000 * (time.perf_counter() - start)})
