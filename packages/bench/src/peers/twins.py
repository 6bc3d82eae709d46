"""Our networks in plain PyTorch, from the same parameters: steps with their inverses, and the losses.

Autograd differentiates them for `torch`; memcnn wraps the same steps, and computes their inputs anew.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Problem:
    """What a problem's files hold: sizes of the network, inputs and parameters by name."""

    def __init__(self, description, numbers):
        def array(place):
            count, start = math.prod(place["shape"]), place["at"]
            return torch.from_numpy(numbers[start : start + count].copy()).reshape(place["shape"])

        self.sizes = description["network"]
        self.inputs = {k: array(v) for k, v in description["inputs"].items()}
        self.parameters = {k: nn.Parameter(array(v)) for k, v in description["parameters"].items()}
        self.dimensions = self.sizes.get("ndims", 2)


class Step(nn.Module):
    """A step with the parameters whose names begin like its own."""

    def __init__(self, problem, prefix):
        super().__init__()
        self.dimensions = problem.dimensions
        self.conv = {2: F.conv2d, 3: F.conv3d}[problem.dimensions]
        self.named = {k[len(prefix) :]: v for k, v in problem.parameters.items() if k.startswith(prefix)}
        self.weights = nn.ParameterList(self.named.values())

    def along_channels(self, v):
        return v.reshape(-1, *[1] * self.dimensions)

    def normalized(self, x, name):
        s, b = self.named[f"{name}.scale"], self.named[f"{name}.shift"]
        return x * self.along_channels(s) + self.along_channels(b), self.volume(s, x)

    def denormalized(self, y, name):
        s, b = self.named[f"{name}.scale"], self.named[f"{name}.shift"]
        return (y - self.along_channels(b)) / self.along_channels(s), self.volume(s, y)

    @staticmethod
    def volume(s, x):
        return math.prod(x.shape[2:]) * s.abs().log().sum()

    def mixing(self, name):
        """H(v1)H(v2)H(v3) with H(v) = I - 2vv'/v'v"""
        v1, v2, v3 = (self.named[f"{name}.v{i}"] for i in (1, 2, 3))
        eye = torch.eye(v1.numel())
        h1, h2, h3 = (eye - 2 * torch.outer(v, v) / v.dot(v) for v in (v1, v2, v3))
        return h1 @ h2 @ h3

    def mixed(self, x, w):
        return self.conv(x, w.reshape(*w.shape, *[1] * self.dimensions))

    def conditioner(self, x, name):
        w1, b1, w2, b2, w3, b3 = (
            self.named[f"{name}.conditioner.{k}"] for k in ("w1", "b1", "w2", "b2", "w3", "b3")
        )
        h = F.relu(self.conv(x, w1, b1, padding=1))
        h = F.relu(self.conv(h, w2, b2))
        return self.conv(h, w3, b3, padding=1)

    def scale_and_shift(self, x1, name):
        r, t = self.conditioner(x1, name).chunk(2, 1)
        s = torch.sigmoid(r) + 0.5
        return s, t, s.log().flatten(1).sum(1)


class GlowStep(Step):
    """ActNorm, 1x1 convolution, coupling; the log-determinant goes along."""

    def forward(self, x, logdet):
        x, volume = self.normalized(x, "actnorm")
        x1, x2 = self.mixed(x, self.mixing("conv1x1")).chunk(2, 1)
        s, t, change = self.scale_and_shift(x1, "coupling")
        return torch.cat([x1, s * x2 + t], 1), logdet + volume + change

    def inverse(self, y, logdet):
        y1, y2 = y.chunk(2, 1)
        s, t, change = self.scale_and_shift(y1, "coupling")
        x = self.mixed(torch.cat([y1, (y2 - t) / s], 1), self.mixing("conv1x1").T)
        x, volume = self.denormalized(x, "actnorm")
        return x, logdet - volume - change


class HintStep(Step):
    """ActNorm on both lanes, a recursion on each, a coupling from the condition to the data."""

    def forward(self, x, y, logdet):
        x, volume_x = self.normalized(x, "actnorm.data")
        y, volume_y = self.normalized(y, "actnorm.condition")
        s, t, change = self.scale_and_shift(y, "coupling.coupling")
        x, change_x = self.lane(x, "coupling.data")
        z, change_y = self.lane(y, "coupling.lane")
        return s * x + t, z, logdet + volume_x + volume_y + change + change_x + change_y

    def inverse(self, x, z, logdet):
        y, change_y = self.lane_back(z, "coupling.lane")
        s, t, change = self.scale_and_shift(y, "coupling.coupling")
        x, change_x = self.lane_back((x - t) / s, "coupling.data")
        x, volume_x = self.denormalized(x, "actnorm.data")
        y, volume_y = self.denormalized(y, "actnorm.condition")
        return x, y, logdet - volume_x - volume_y - change - change_x - change_y

    def lane(self, x, name):
        return self.recursion(self.mixed(x, self.mixing(f"{name}.permutation")), f"{name}.recursion")

    def lane_back(self, y, name):
        x, change = self.recursion_back(y, f"{name}.recursion")
        return self.mixed(x, self.mixing(f"{name}.permutation").T), change

    def is_inner(self, name):
        return f"{name}.first.coupling.conditioner.w1" in self.named

    def recursion(self, x, name):
        x1, x2 = x.chunk(2, 1)
        s, t, change = self.scale_and_shift(x1, f"{name}.coupling")
        if self.is_inner(name):
            x1, change1 = self.recursion(x1, f"{name}.first")
            x2, change2 = self.recursion(x2, f"{name}.second")
            change = change + change1 + change2
        return torch.cat([x1, s * x2 + t], 1), change

    def recursion_back(self, y, name):
        x1, y2 = y.chunk(2, 1)
        changes = 0
        inner = self.is_inner(name)
        if inner:
            x1, changes = self.recursion_back(x1, f"{name}.first")
        s, t, change = self.scale_and_shift(x1, f"{name}.coupling")
        x2 = (y2 - t) / s
        if inner:
            x2, change2 = self.recursion_back(x2, f"{name}.second")
            changes = changes + change2
        return torch.cat([x1, x2], 1), changes + change


class LoopStep(Step):
    """The gradient of the misfit added to the memory, and an additive coupling of all channels."""

    def __init__(self, problem, prefix):
        super().__init__(problem, prefix)
        self.data, self.kernel = problem.inputs["data"], problem.inputs["kernel"]

    def moved(self, estimate, memory, sign):
        """The memory with N(A'(A u - d)) added to its first channel, or taken from it."""
        padding = self.kernel.shape[-1] // 2
        residual = F.conv2d(estimate, self.kernel, padding=padding) - self.data
        gradient = F.conv_transpose2d(residual, self.kernel, padding=padding)
        gradient, _ = self.normalized(gradient, "gradient.conditioner.norm")
        rest = memory.shape[1] - gradient.shape[1]
        return memory + sign * F.pad(gradient, (0, 0, 0, 0, 0, rest))

    def coupled(self, x, sign):
        w = self.mixing("coupling.mix")
        u1, u2 = self.mixed(x, w).chunk(2, 1)
        u2 = u2 + sign * self.conditioner(u1, "coupling.coupling")
        return self.mixed(torch.cat([u1, u2], 1), w.T)

    # What is returned lies apart, since memcnn frees what goes in.
    def forward(self, estimate, memory):
        x = self.coupled(torch.cat([estimate, self.moved(estimate, memory, 1)], 1), 1)
        return x[:, :1].clone(), x[:, 1:].clone()

    def inverse(self, estimate, memory):
        x = self.coupled(torch.cat([estimate, memory], 1), -1)
        estimate, memory = x[:, :1].clone(), x[:, 1:].clone()
        return estimate, self.moved(estimate, memory, -1)


def squeeze(x):
    """Every second position along each axis becomes a channel, in our order."""
    n, c, *size = x.shape
    axes = range(len(size))
    x = x.reshape(n, c, *[k for s in size for k in (s // 2, 2)])
    x = x.permute(0, *[3 + 2 * i for i in axes], 1, *[2 + 2 * i for i in axes])
    return x.reshape(n, 2 ** len(size) * c, *[s // 2 for s in size])


def gaussian(*latents):
    """Mean negative log-density of standard normal latents."""
    total = sum((z * z).sum() for z in latents) / 2
    count = sum(z[0].numel() for z in latents)
    return total / latents[0].shape[0] + count * math.log(2 * math.pi) / 2


class Twin(nn.Module):
    """The same network as ours: the loss of the problem's inputs. `wrap` is put around each step."""

    def __init__(self, problem, wrap=None):
        super().__init__()
        self.problem, self.wrapped = problem, wrap is not None
        kind = {"glow": GlowStep, "hint": HintStep, "loop": LoopStep}[problem.sizes["kind"]]
        steps = (kind(problem, prefix) for prefix in self.prefixes())
        self.steps = nn.ModuleList(wrap(step) if wrap else step for step in steps)

    def prefixes(self):
        """How the parameters of each step are named."""
        sizes = self.problem.sizes
        if sizes["kind"] == "loop":
            return [f"{k}." for k in range(sizes["iterations"])]
        steps = [f"steps.{k}." for k in range(sizes["steps"])]
        if sizes["kind"] == "hint":
            return steps
        return [f"scales.{i}.{step}" for i in range(sizes["scales"]) for step in steps]

    def forward(self):
        inputs = {k: self.entering(v) for k, v in self.problem.inputs.items()}
        return getattr(self, self.problem.sizes["kind"])(**inputs)

    def entering(self, x):
        """memcnn frees what goes into a step, and passes no gradients on unless that has one."""
        return x.clone().requires_grad_() if self.wrapped else x

    def glow(self, x):
        latents, logdet = [], self.entering(x.new_zeros(x.shape[0]))
        depth = self.problem.sizes["steps"]
        for i, step in enumerate(self.steps):
            if i > 0 and i % depth == 0:
                x, z = x.chunk(2, 1)
                latents.append(z)
            if i % depth == 0:
                x = squeeze(x)
            x, logdet = step(x, logdet)
        return gaussian(*latents, x) - logdet.mean()

    def hint(self, x, y):
        logdet = self.entering(x.new_zeros(x.shape[0]))
        for step in self.steps:
            x, y, logdet = step(x, y, logdet)
        return gaussian(x, y) - logdet.mean()

    def loop(self, estimate, memory, target, **_):
        for step in self.steps:
            estimate, memory = step(estimate, memory)
        return ((estimate - target) ** 2).sum() / (2 * target.shape[0])
