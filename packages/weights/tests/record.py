"""Makes small models in the libraries themselves, and says what they compute.

    python3 record.py FOLDER [name …]          writes FOLDER/name.safetensors, a state_dict as users save it, and
                                               FOLDER/name.expected.safetensors: data x, their densities and
                                               latents z, noise, and the sample that is made of it
    python3 record.py --back FOLDER [name …]   loads FOLDER/name.back.safetensors into a fresh model, strictly, and
                                               prints by how much its densities and samples differ, relative to 1 + |them|

Latents are as here: standard normal, and those of several levels are one image, each level unsqueezed.
Weights are float32, as models have them; expected numbers are computed from them in float64.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch

torch.manual_seed(0)


def write(path, tensors, metadata=None):
    """The safetensors format, without the package of that name."""
    names = {'float64': 'F64', 'float32': 'F32', 'int64': 'I64', 'bool': 'BOOL'}
    order = sorted(tensors, key=lambda k: -tensors[k].itemsize)
    header, blobs, end = {'__metadata__': metadata or {}}, [], 0
    for name in order:
        blob = np.ascontiguousarray(tensors[name]).tobytes()
        header[name] = {
            'dtype': names[str(tensors[name].dtype)],
            'shape': list(tensors[name].shape),
            'data_offsets': [end, end + len(blob)],
        }
        end += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(struct.pack('<Q', len(text)) + text + b''.join(blobs))


def read(path):
    data = path.read_bytes()
    (length,) = struct.unpack('<Q', data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop('__metadata__', None)
    kinds = {'F64': np.float64, 'F32': np.float32, 'I64': np.int64, 'BOOL': np.bool_}
    arrays = {}
    for name, entry in header.items():
        start, end = (8 + length + o for o in entry['data_offsets'])
        arrays[name] = np.frombuffer(data[start:end], kinds[entry['dtype']]).reshape(entry['shape'])
    return arrays


def scatter(module, deviation=0.3):
    """Moves all parameters, those that start at zero among them; the factors of a matrix a little."""
    for name, p in module.named_parameters():
        if p.requires_grad and p.is_floating_point():
            p.data += (0.1 if name.rsplit('.', 1)[-1] in 'LUW' else deviation) * torch.randn_like(p)
    for name, b in module.named_buffers():
        if name.endswith('data_dep_init_done'):
            b.fill_(1.0)
        if name.endswith('initialized'):
            b.fill_(True)


pixel_shuffle = lambda z: torch.nn.functional.pixel_shuffle(z, 2)


# normflows 1.7.3


def normflows_glow(scale_map='sigmoid', split_mode='channel', use_lu=True, base='DiagGaussian'):
    import normflows as nf

    q0, merges, flows, levels, size = [], [], [], 2, 4
    for i in range(levels):
        channels = 2 ** (levels + 1 - i)
        block = lambda: nf.flows.GlowBlock(
            channels, 3, scale_map=scale_map, split_mode=split_mode, init_zeros=False, use_lu=use_lu
        )
        flows += [[block() for _ in range(1 + i)] + [nf.flows.Squeeze()]]
        side = size // 2 ** (levels - i)
        if i > 0:
            merges += [nf.flows.Merge()]
            shape = (channels // 2, side, side)
        else:
            shape = (channels, side, side)
        q0 += [getattr(nf.distributions, base)(shape)]
    return nf.MultiscaleFlow(q0, flows, merges, class_cond=False)


class NormflowsGlow:
    shape = (1, 4, 4)

    def __init__(self, deviation=0.3, **options):
        self.deviation, self.options = deviation, options

    def make(self):
        return normflows_glow(**self.options)

    def density(self, model, x):
        return model.log_prob(x, None)

    def base(self, q0):
        """Mean and deviation."""
        if hasattr(q0, 'loc_logs'):
            factor = q0.logscale_factor
            scale = q0.log_scale * torch.exp(q0.log_scale_logs * factor)
            return q0.loc * torch.exp(q0.loc_logs * factor), torch.exp(scale)
        return q0.loc, torch.exp(q0.log_scale)

    def encode(self, model, x):
        z = None
        for q0, level in zip(model.q0, model.inverse_and_log_det(x)[0]):
            loc, scale = self.base(q0)
            level = (level - loc) / scale
            z = pixel_shuffle(level if z is None else torch.cat([z, level], 1))
        return z

    def decode(self, model, z):
        levels = []
        for q0 in reversed(model.q0):
            loc, scale = self.base(q0)
            z = torch.nn.functional.pixel_unshuffle(z, 2)
            last = q0 is model.q0[0]
            z, level = (None, z) if last else z.chunk(2, 1)
            levels.insert(0, loc + scale * level)
        return model.forward_and_log_det(levels)[0]


class NormflowsOdd(NormflowsGlow):
    """One level without a Squeeze, of three channels."""

    shape = (3, 2, 3)

    def make(self):
        import normflows as nf

        blocks = [nf.flows.GlowBlock(3, 3, init_zeros=False, leaky=0.1) for _ in range(2)]
        return nf.MultiscaleFlow([nf.distributions.GlowBase(self.shape)], [blocks], [], class_cond=False)

    def encode(self, model, x):
        loc, scale = self.base(model.q0[0])
        return (model.inverse_and_log_det(x)[0][0] - loc) / scale

    def decode(self, model, z):
        loc, scale = self.base(model.q0[0])
        return model.forward_and_log_det([loc + scale * z])[0]


class NormflowsRealNVP(NormflowsGlow):
    shape = (2,)

    def make(self):
        import normflows as nf

        flows = []
        for i in range(3):
            net = nf.nets.MLP([1, 8, 6, 2], leaky=0.1)
            flows += [nf.flows.AffineCouplingBlock(net), nf.flows.Permute(2, mode='swap'), nf.flows.ActNorm(2)]
        flows += [nf.flows.Permute(2, mode='swap')]
        return nf.NormalizingFlow(nf.distributions.DiagGaussian(2), flows)

    def density(self, model, x):
        return model.log_prob(x)

    def encode(self, model, x):
        loc, scale = self.base(model.q0)
        return (model.inverse(x) - loc) / scale

    def decode(self, model, z):
        loc, scale = self.base(model.q0)
        return model.forward(loc + scale * z)


class NormflowsShuffled(NormflowsRealNVP):
    """Vectors of odd length, random permutations, linear maps, additive couplings among them."""

    shape = (5,)

    def make(self):
        import normflows as nf

        block = nf.flows.AffineCouplingBlock
        flows = [
            block(nf.nets.MLP([3, 6, 6, 4]), scale_map='sigmoid_inv'),
            nf.flows.AffineConstFlow((5,)),
            nf.flows.Permute(5, mode='shuffle'),
            nf.flows.InvertibleAffine(5, use_lu=True),
            block(nf.nets.MLP([3, 6, 2]), scale=False),
            nf.flows.InvertibleAffine(5, use_lu=False),
            nf.flows.LULinearPermute(5),
            nf.flows.ActNorm(5),
        ]
        return nf.NormalizingFlow(nf.distributions.DiagGaussian(5, trainable=False), flows)


# FrEIA 0.2


def conv_net(inputs, outputs):
    nn = torch.nn
    return nn.Sequential(nn.Conv2d(inputs, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, outputs, 3, padding=1))


def dense_net(inputs, outputs):
    nn = torch.nn
    return nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, outputs))


class FreiaAllInOne:
    """A sequence of AllInOneBlock behind a squeeze."""

    shape = (1, 4, 4)

    def make(self):
        import FrEIA.framework as ff
        import FrEIA.modules as fm

        inn = ff.SequenceINN(*self.shape)
        inn.append(fm.IRevNetDownsampling)
        np.random.seed(1)
        for soft in (True, False):
            inn.append(fm.AllInOneBlock, subnet_constructor=conv_net, permute_soft=soft)
        return inn

    def encode(self, model, x):
        return model(x)[0]

    def density(self, model, x):
        z, logdet = model(x)
        z = z.flatten(1)
        return -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * np.log(2 * np.pi) + logdet

    def decode(self, model, z):
        return model(z, rev=True)[0]


class FreiaOdd(FreiaAllInOne):
    """Vectors of odd length, whose parts differ in length."""

    shape = (5,)

    def make(self):
        import FrEIA.framework as ff
        import FrEIA.modules as fm

        inn = ff.SequenceINN(*self.shape)
        for _ in range(2):
            inn.append(
                fm.AllInOneBlock,
                subnet_constructor=dense_net,
                affine_clamping=1.5,
                global_affine_type='SIGMOID',
                permute_soft=True,
            )
        return inn


class FreiaGlow(FreiaAllInOne):
    """GLOWCouplingBlock and PermuteRandom as a graph, on vectors of odd length."""

    shape = (5,)

    def make(self):
        import FrEIA.framework as ff
        import FrEIA.modules as fm

        np.random.seed(2)
        nodes = [ff.InputNode(*self.shape)]
        for _ in range(2):
            nodes += [
                ff.Node(nodes[-1], fm.GLOWCouplingBlock, {'subnet_constructor': dense_net, 'clamp': 1.5}),
            ]
            nodes += [ff.Node(nodes[-1], fm.PermuteRandom, {})]
        return ff.GraphINN(nodes + [ff.OutputNode(nodes[-1])])


class FreiaClamps(FreiaAllInOne):
    shape = (3,)

    def __init__(self, clamp):
        self.clamp = clamp

    def make(self):
        import FrEIA.framework as ff
        import FrEIA.modules as fm

        inn = ff.SequenceINN(*self.shape)
        inn.append(fm.AllInOneBlock, subnet_constructor=dense_net, global_affine_type='EXP')
        inn.append(fm.GLOWCouplingBlock, subnet_constructor=dense_net, clamp_activation=self.clamp)
        return inn


class FreiaBlocks(FreiaAllInOne):
    """Blocks of two sides, with two networks and with four, and reflections that are undone before."""

    shape = (5,)

    def make(self):
        import FrEIA.framework as ff
        import FrEIA.modules as fm

        inn = ff.SequenceINN(*self.shape)
        np.random.seed(3)
        inn.append(fm.NICECouplingBlock, subnet_constructor=dense_net, split_len=2)
        inn.append(fm.RNVPCouplingBlock, subnet_constructor=dense_net, split_len=3)
        inn.append(
            fm.AllInOneBlock,
            subnet_constructor=dense_net,
            learned_householder_permutation=2,
            reverse_permutation=True,
        )
        return inn


class FreiaGin(FreiaAllInOne):
    shape = (5,)

    def make(self):
        import FrEIA.framework as ff
        import FrEIA.modules as fm

        inn = ff.SequenceINN(*self.shape)
        np.random.seed(4)
        inn.append(fm.AllInOneBlock, subnet_constructor=dense_net, gin_block=True)
        inn.append(fm.GINCouplingBlock, subnet_constructor=dense_net)
        return inn


# nflows 0.14


class NflowsVectors:
    shape = (5,)

    def make(self):
        from nflows.distributions.normal import DiagonalNormal
        from nflows.flows import Flow
        from nflows.nn.nets import ResidualNet
        from nflows import transforms as t

        net = lambda inputs, outputs: ResidualNet(inputs, outputs, hidden_features=6, num_blocks=2)
        mask = torch.tensor([-1, 1, -1, 1, -1])
        layers = []
        for sign in (1, -1):
            layers += [
                t.ActNorm(5),
                t.AffineCouplingTransform(sign * mask, net),
                t.RandomPermutation(5),
                t.LULinear(5),
            ]
        last = t.InverseTransform(t.AdditiveCouplingTransform(mask, net))
        return Flow(t.CompositeTransform(layers + [t.ReversePermutation(5), last]), DiagonalNormal([5]))

    def density(self, model, x):
        return model.log_prob(x)

    def base(self, model):
        q = model._distribution
        return (q.mean_, torch.exp(q.log_std_)) if hasattr(q, 'mean_') else (0, 1)

    def encode(self, model, x):
        mean, deviation = self.base(model)
        return (model.transform_to_noise(x) - mean) / deviation

    def decode(self, model, z):
        mean, deviation = self.base(model)
        return model._transform.inverse(mean + deviation * z)[0]


class NflowsImages(NflowsVectors):
    shape = (1, 4, 4)

    def make(self):
        from nflows.distributions import StandardNormal
        from nflows.flows import Flow
        from nflows.nn.nets import ConvResidualNet
        from nflows import transforms as t

        net = lambda inputs, outputs: ConvResidualNet(inputs, outputs, hidden_channels=3, num_blocks=1)
        step = lambda mask: t.CompositeTransform(
            [t.ActNorm(4), t.OneByOneConvolution(4), t.AffineCouplingTransform(mask, net)]
        )
        layers = [t.SqueezeTransform(), step([0, 0, 1, 1]), step([1, 1, 0, 0])]
        return Flow(t.CompositeTransform(layers), StandardNormal([4, 2, 2]))


cases = {
    'normflows-glow': NormflowsGlow(),
    'normflows-glow-exp': NormflowsGlow(
        deviation=0.1, scale_map='exp', split_mode='channel_inv', use_lu=False, base='GlowBase'
    ),
    'normflows-odd': NormflowsOdd(),
    'normflows-realnvp': NormflowsRealNVP(),
    'normflows-vectors': NormflowsShuffled(),
    'freia-all-in-one': FreiaAllInOne(),
    'freia-odd': FreiaOdd(),
    'freia-glow': FreiaGlow(),
    'freia-tanh': FreiaClamps('TANH'),
    'freia-blocks': FreiaBlocks(),
    'freia-gin': FreiaGin(),
    'freia-sigmoid': FreiaClamps('SIGMOID'),
    'nflows-vectors': NflowsVectors(),
    'nflows-images': NflowsImages(),
}


def load(model, tensors):
    """The model with these weights, in float64."""
    model.load_state_dict({k: torch.tensor(v) for k, v in tensors.items()}, strict=True)
    return model.double().eval()


def expected(case, model):
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(3, *case.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        z = case.encode(model, x)
        noise = torch.randn(z.shape, generator=generator, dtype=z.dtype)
        found = {
            'x': x,
            'z': z,
            'log_prob': case.density(model, x),
            'noise': noise,
            'sample': case.decode(model, noise),
        }
    return {k: v.numpy() for k, v in found.items()}


def record(folder, names):
    for name in names:
        case = cases[name]
        model = case.make()
        scatter(model, getattr(case, 'deviation', 0.3))
        tensors = {k: v.numpy() for k, v in model.state_dict().items()}
        write(folder / f'{name}.safetensors', tensors)
        write(folder / f'{name}.expected.safetensors', expected(case, load(case.make(), tensors)))


def back(folder, names):
    differences = {}
    for name in names:
        case = cases[name]
        model = load(case.make(), read(folder / f'{name}.back.safetensors'))
        now, then = expected(case, model), read(folder / f'{name}.expected.safetensors')
        differences[name] = max(float((np.abs(now[k] - then[k]) / (1 + np.abs(then[k]))).max()) for k in then)
    print(json.dumps(differences))


if __name__ == '__main__':
    returning = sys.argv[1] == '--back'
    folder, *chosen = sys.argv[2:] if returning else sys.argv[1:]
    (back if returning else record)(Path(folder), chosen or list(cases))
