"""Layers of MemCNN 1.5.2, which have no log-determinants."""

import memcnn
from case import Case, Net, net


def pair(m, rows=None):
    return {**net("first.conditioner", m.Fm, rows), **net("second.conditioner", m.Gm, rows)}


def cases():
    forward = lambda m, x, c: (m(x), None)
    inverse = lambda m, y, c: m.inverse(y)
    both = dict(x=(4, 4), forward=forward, inverse=inverse)
    plain = dict(implementation_fwd=-1, implementation_bwd=-1)
    yield Case(
        "AdditiveCoupling", memcnn.AdditiveCoupling(Net(2, 2), Net(2, 2), **plain), pair, **both
    )

    def adapted(rows):
        """Of the network within an adapter; a row that both parts have is there twice."""

        def weights(m):
            ours = {}
            for path, adapter in (("first", m.Fm), ("second", m.Gm)):
                ours |= net(f"{path}.conditioner", adapter.f, rows)
            return ours

        return weights

    for name, adapter, outputs, rows in (
        ("AffineCoupling, AffineAdapterSigmoid", memcnn.AffineAdapterSigmoid, 4, [1, 3, 0, 2]),
        ("AffineCoupling, AffineAdapterNaive", memcnn.AffineAdapterNaive, 2, [0, 1, 0, 1]),
    ):
        networks = [Net(2, outputs), Net(2, outputs)]
        module = memcnn.AffineCoupling(*networks, adapter=adapter, **plain)
        yield Case(name, module, adapted(rows), **both)
