"""Networks of normflows, FrEIA and memcnn that are as near to ours as each library has them."""

import torch
from torch import nn
from twins import Twin, gaussian, squeeze


def conditioner(problem, inside, outside):
    hidden = problem.sizes["hidden"]
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[problem.dimensions]
    return nn.Sequential(
        conv(inside, hidden, 3, padding=1),
        nn.ReLU(),
        conv(hidden, hidden, 1),
        nn.ReLU(),
        conv(hidden, outside, 3, padding=1),
    )


class MultiScale(nn.Module):
    """Squeezes, steps of one scale by `make(channels, size)`, and half of the channels leaving."""

    def __init__(self, problem, make):
        super().__init__()
        sizes, self.x = problem.sizes, problem.inputs["x"]
        width, side, self.scales = sizes["channels"], sizes["side"], nn.ModuleList()
        for _ in range(sizes["scales"]):
            width, side = width * 2**problem.dimensions, side // 2
            steps = [make(width, [side] * problem.dimensions) for _ in range(sizes["steps"])]
            self.scales.append(nn.ModuleList(steps))
            width //= 2

    def forward(self):
        x, latents, logdet = self.x.clone().requires_grad_(), [], 0
        for i, steps in enumerate(self.scales):
            if i > 0:
                x, z = x.chunk(2, 1)
                latents.append(z)
            x = squeeze(x)
            for step in steps:
                x, change = self.run(step, x)
                logdet = logdet + change
        return gaussian(*latents, x) - logdet


class Normflows(MultiScale):
    def __init__(self, problem):
        from normflows.flows import GlowBlock

        hidden = problem.sizes["hidden"]
        super().__init__(problem, lambda c, _: GlowBlock(c, hidden, leaky=0.0, net_actnorm=False))

    def run(self, step, x):
        # Its inverse is the direction of training.
        y, change = step.inverse(x)
        return y, change.mean()


class FreiaGlow(MultiScale):
    def __init__(self, problem):
        from FrEIA import framework, modules

        def subnet(inside, outside):
            return conditioner(problem, inside, outside)

        def make(channels, size):
            net = framework.SequenceINN(channels, *size)
            if len(size) == 3:
                net.append(modules.AllInOneBlock, subnet_constructor=subnet, permute_soft=True)
                return net
            net.append(modules.ActNorm)
            mixing, _ = torch.linalg.qr(torch.randn(channels, channels))
            net.append(modules.Fixed1x1Conv, M=mixing)
            net.append(modules.AffineCouplingOneSided, subnet_constructor=subnet)
            return net

        super().__init__(problem, make)

    def run(self, step, x):
        y, change = step(x)
        return y, change.mean()


class FreiaHint(nn.Module):
    """The wiring of our recursions, with its conditional transforms as their couplings."""

    def __init__(self, problem):
        super().__init__()
        self.problem, self.made = problem, nn.ModuleDict()
        self.steps = problem.sizes["steps"]
        with torch.no_grad():
            self.forward()

    def module(self, name, make):
        """The module of a place, made when it is first met."""
        key = name.replace(".", "_")
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def forward(self):
        x, y = self.problem.inputs["x"], self.problem.inputs["y"]
        logdet = 0
        for step in range(self.steps):
            x, change_x = self.normalized(x, f"{step}.x")
            y, change_y = self.normalized(y, f"{step}.y")
            z, change_z = self.lane(y, f"{step}.lane")
            x, change_d = self.lane(x, f"{step}.data")
            x, change = self.coupled(y, x, f"{step}.coupling")
            logdet = logdet + sum(c.mean() for c in (change_x, change_y, change_z, change_d, change))
            y = z
        return gaussian(x, y) - logdet

    def normalized(self, x, name):
        from FrEIA.modules import ActNorm

        (x,), change = self.module(name, lambda: ActNorm([tuple(x.shape[1:])]))((x,))
        return x, change

    def lane(self, x, name):
        from FrEIA.modules import Fixed1x1Conv

        def make():
            mixing, _ = torch.linalg.qr(torch.randn(x.shape[1], x.shape[1]))
            return Fixed1x1Conv([tuple(x.shape[1:])], M=mixing)

        (x,), change = self.module(f"{name}.mix", make)((x,))
        x, inner = self.recursion(x, name)
        return x, change + inner

    def recursion(self, x, name):
        x1, x2 = x.chunk(2, 1)
        changes, moved = 0, x2
        if x1.shape[1] > 1:
            moved, changes = self.recursion(x2, f"{name}.second")
        y2, change = self.coupled(x1, moved, f"{name}.coupling")
        changes = changes + change
        if x1.shape[1] > 1:
            x1, change = self.recursion(x1, f"{name}.first")
            changes = changes + change
        return torch.cat([x1, y2], 1), changes

    def coupled(self, condition, x, name):
        from FrEIA.modules import ConditionalAffineTransform

        def make():
            return ConditionalAffineTransform(
                [tuple(x.shape[1:])],
                [tuple(condition.shape[1:])],
                subnet_constructor=lambda inside, outside: conditioner(self.problem, inside, outside),
            )

        (y,), change = self.module(name, make)((x,), c=[condition])
        return y, change


class MemcnnGlow(MultiScale):
    def __init__(self, problem):
        import memcnn

        def make(channels, _):
            halves = [conditioner(problem, channels // 2, channels) for _ in range(2)]
            coupling = memcnn.AffineCoupling(*halves, adapter=memcnn.AffineAdapterSigmoid)
            return memcnn.InvertibleModuleWrapper(coupling, keep_input=False)

        super().__init__(problem, make)

    def run(self, step, x):
        return step(x), 0


def memcnn_wrapper(problem):
    import memcnn

    return Twin(problem, lambda step: memcnn.InvertibleModuleWrapper(step, keep_input=False))


models = {
    ("torch", "glow"): Twin,
    ("torch", "hint"): Twin,
    ("torch", "loop"): Twin,
    ("normflows", "glow"): Normflows,
    ("FrEIA", "glow"): FreiaGlow,
    ("FrEIA", "hint"): FreiaHint,
    ("memcnn", "glow"): MemcnnGlow,
    ("memcnn-wrapper", "glow"): memcnn_wrapper,
    ("memcnn-wrapper", "hint"): memcnn_wrapper,
    ("memcnn-wrapper", "loop"): memcnn_wrapper,
}
