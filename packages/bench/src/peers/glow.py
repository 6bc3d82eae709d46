"""Glow in PyTorch, normflows, FrEIA and MemCNN, one training step for each line of input.

Called with the library and a file of sizes, images and parameters. Answers `gradients` with the loss
and the gradients of all parameters, and `step` once a step is done: likelihood, gradients, Adam.
"""

import json
import math
import sys

import torch
from torch import nn
from torch.nn import functional as F

library, path = sys.argv[1:]
with open(path) as file:
    problem = json.load(file)
sizes = problem["sizes"]
torch.set_num_threads(problem["threads"])
torch.manual_seed(0)
images = torch.tensor(problem["images"]["values"]).reshape(problem["images"]["shape"])
HIDDEN, STEPS, SCALES = sizes["hidden"], sizes["steps"], sizes["scales"]


def squeeze(x):
    """Every second position along each axis becomes a channel, in our order."""
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(n, 4 * c, h // 2, w // 2)


def gaussian(*latents):
    """Mean negative log-density of standard normal latents."""
    total = sum((z * z).sum() for z in latents) / 2
    count = sum(z[0].numel() for z in latents)
    return total / images.shape[0] + count * math.log(2 * math.pi) / 2


def conditioner(inside, outside):
    return nn.Sequential(
        nn.Conv2d(inside, HIDDEN, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(HIDDEN, HIDDEN, 1),
        nn.ReLU(),
        nn.Conv2d(HIDDEN, outside, 3, padding=1),
    )


class Torch(nn.Module):
    """The same network as ours, from the same parameters."""

    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(torch.tensor(p["values"]).reshape(p["shape"]))
            for p in problem["parameters"]
        )

    def forward(self, x):
        weights = iter(self.weights)
        latents, logdet = [], 0
        for scale in range(SCALES):
            if scale > 0:
                x, z = x.chunk(2, 1)
                latents.append(z)
            x = squeeze(x)
            width, positions = x.shape[1], x.shape[2] * x.shape[3]
            for _ in range(STEPS):
                s, b = next(weights), next(weights)
                x = x * s[:, None, None] + b[:, None, None]
                logdet = logdet + positions * s.abs().log().sum()
                w = torch.eye(width)
                for _ in range(3):
                    v = next(weights)
                    w = w @ (torch.eye(width) - 2 * torch.outer(v, v) / v.dot(v))
                x = F.conv2d(x, w[:, :, None, None])
                x1, x2 = x.chunk(2, 1)
                h = F.relu(F.conv2d(x1, next(weights), next(weights), padding=1))
                h = F.relu(F.conv2d(h, next(weights), next(weights)))
                r, t = F.conv2d(h, next(weights), next(weights), padding=1).chunk(2, 1)
                scales = torch.sigmoid(r) + 0.5
                logdet = logdet + scales.log().sum() / x.shape[0]
                x = torch.cat([x1, scales * x2 + t], 1)
        return gaussian(*latents, x) - logdet


class Normflows(nn.Module):
    def __init__(self):
        super().__init__()
        from normflows.flows import GlowBlock

        width, self.scales = sizes["channels"], nn.ModuleList()
        for _ in range(SCALES):
            width *= 4
            self.scales.append(
                nn.ModuleList(GlowBlock(width, HIDDEN, leaky=0.0, net_actnorm=False) for _ in range(STEPS))
            )
            width //= 2

    def forward(self, x):
        latents, logdet = [], 0
        for i, blocks in enumerate(self.scales):
            if i > 0:
                x, z = x.chunk(2, 1)
                latents.append(z)
            x = squeeze(x)
            for block in blocks:
                # Its inverse is the direction of training.
                x, change = block.inverse(x)
                logdet = logdet + change.mean()
        return gaussian(*latents, x) - logdet


class Freia(nn.Module):
    def __init__(self):
        super().__init__()
        from FrEIA import framework, modules

        width, side, self.scales = sizes["channels"], sizes["side"], nn.ModuleList()
        for _ in range(SCALES):
            width, side = 4 * width, side // 2
            net = framework.SequenceINN(width, side, side)
            for _ in range(STEPS):
                net.append(modules.ActNorm)
                mixing, _ = torch.linalg.qr(torch.randn(width, width))
                net.append(modules.Fixed1x1Conv, M=mixing)
                net.append(modules.AffineCouplingOneSided, subnet_constructor=conditioner)
            self.scales.append(net)
            width //= 2

    def forward(self, x):
        latents, logdet = [], 0
        for i, net in enumerate(self.scales):
            if i > 0:
                x, z = x.chunk(2, 1)
                latents.append(z)
            x, change = net(squeeze(x))
            logdet = logdet + change.mean()
        return gaussian(*latents, x) - logdet


class Memcnn(nn.Module):
    def __init__(self):
        super().__init__()
        import memcnn

        width, self.scales = sizes["channels"], nn.ModuleList()
        for _ in range(SCALES):
            width *= 4
            blocks = []
            for _ in range(STEPS):
                halves = [conditioner(width // 2, width) for _ in range(2)]
                coupling = memcnn.AffineCoupling(*halves, adapter=memcnn.AffineAdapterSigmoid)
                blocks.append(memcnn.InvertibleModuleWrapper(coupling, keep_input=False))
            self.scales.append(nn.Sequential(*blocks))
            width //= 2

    def forward(self, x):
        latents = []
        x = x.clone().requires_grad_()
        for i, blocks in enumerate(self.scales):
            if i > 0:
                x, z = x.chunk(2, 1)
                latents.append(z)
            x = blocks(squeeze(x))
        return gaussian(*latents, x)


model = {"torch": Torch, "normflows": Normflows, "FrEIA": Freia, "memcnn": Memcnn}[library]()
model(images)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-9)
for line in sys.stdin:
    optimizer.zero_grad()
    loss = model(images)
    loss.backward()
    if line.strip() == "gradients":
        gradients = [p.grad.flatten().tolist() for p in model.parameters()]
        print(json.dumps([[loss.item()], *gradients]), flush=True)
        continue
    optimizer.step()
    print("done", flush=True)
