"""Devito's side of @invnet/devito: waves modelled by code that Devito makes, asked for through two pipes.

Reads frames from standard input and answers each on standard output (src/frames.ts has their form). What anything else
prints goes to standard error. Ends with its input.
"""

import json
import os
import signal
import struct
import sys
import traceback

PROTOCOL = 1

# Ctrl-C is for the program that this one works for; it ends when that one does.
signal.signal(signal.SIGINT, signal.SIG_IGN)
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
questions = sys.stdin.buffer


def receive():
    """The header of the next frame and its arrays; None where the input ends."""
    start = questions.read(4)
    if len(start) < 4:
        return None
    header = json.loads(questions.read(*struct.unpack("<I", start)))
    return header, [questions.read(4 * n) for n in header["arrays"]]


def send(fields, arrays=()):
    header = json.dumps({**fields, "arrays": [a.size for a in arrays]}).encode()
    answers.write(struct.pack("<I", len(header)) + header)
    for a in arrays:
        answers.write(a.astype("<f4").tobytes())
    answers.flush()


def versions():
    try:
        import devito
        import numpy
    except ImportError as error:
        return {"missing": str(error)}
    return {
        "devito": devito.__version__,
        "numpy": numpy.__version__,
        "python": sys.version.split()[0],
    }


class Wave:
    """m u_tt - lap(u) + eta u_t = q, as AcousticWave of @invnet/operators has it, on a grid with its border."""

    def __init__(self, shape, spacing, border, timeStep, steps, every, sources, receivers, wavelet):
        import numpy as np
        from devito import Function, Grid

        self.np = np
        self.border, self.spacing, self.dt = border, spacing, timeStep
        self.steps, self.every, self.wavelet = steps, every, wavelet
        self.points = {"source": sources, "receiver": receivers}
        extent = tuple((n - 1) * h for n, h in zip(shape, spacing))
        self.grid = Grid(shape=tuple(shape), extent=extent, dtype=np.float32)
        self.size = tuple(n - 2 * border for n in shape)
        self.inside = tuple(slice(border, border + n) for n in self.size)
        # What is injected reads these at the neighbours of a point as well.
        self.m = Function(name="m", grid=self.grid, space_order=2)
        self.eta = Function(name="eta", grid=self.grid, space_order=2)
        # Read at a cell alone: with a larger order they would be shifted.
        self.dm = Function(name="dm", grid=self.grid, space_order=0)
        self.image = Function(name="image", grid=self.grid, space_order=0)
        self.operators = {}

    def field(self, name, saved=True):
        from devito import TimeFunction

        # Time 0 is index 1, so that the time before it has a place.
        save = {"save": self.steps + 2} if saved else {}
        return TimeFunction(name=name, grid=self.grid, time_order=2, space_order=8, **save)

    def series(self, kind):
        from devito import SparseTimeFunction

        cells = self.np.array(self.points[kind]) + self.border
        series = SparseTimeFunction(name=kind, grid=self.grid, npoint=len(cells), nt=self.steps + 2)
        series.coordinates.data[:] = cells * self.np.array(self.spacing)
        return series

    def stencil(self, u, q=0, forward=True):
        from devito import Eq, solve

        # Central, whatever the direction; `u.dt` is one-sided.
        target, damped = (u.forward, u.dtc) if forward else (u.backward, -u.dtc)
        return [Eq(target, solve(self.m * u.dt2 - u.laplace + self.eta * damped - q, target))]

    def injected(self, series, target):
        """What q adds to the new time."""
        dt = self.grid.time_dim.spacing
        return series.inject(field=target, expr=series / (self.m / dt**2 + self.eta / (2 * dt)))

    def operator(self, name):
        if name not in self.operators:
            self.operators[name] = getattr(self, "make_" + name)()
        return self.operators[name]

    def make_model(self):
        from devito import Operator

        u, source, receiver = self.field("u", saved=False), self.series("source"), self.series("receiver")
        steps = self.stencil(u) + self.injected(source, u.forward) + receiver.interpolate(expr=u)
        return Operator(steps, name="Model"), u, source, receiver

    def make_field(self):
        from devito import Operator

        u, source = self.field("u"), self.series("source")
        return Operator(self.stencil(u) + self.injected(source, u.forward), name="Field"), source

    def make_scatter(self):
        from devito import Operator

        u, v, receiver = self.field("u"), self.field("v", saved=False), self.series("receiver")
        steps = self.stencil(v, q=-self.dm * u.dt2) + receiver.interpolate(expr=v)
        return Operator(steps, name="Scatter"), v, receiver

    def make_migrate(self):
        from devito import Inc, Operator

        u, v, receiver = self.field("u"), self.field("v", saved=False), self.series("receiver")
        steps = self.stencil(v, forward=False) + self.injected(receiver, v.backward)
        steps += [Inc(self.image, -u.dt2 * v)]
        return Operator(steps, name="Migrate"), v, receiver

    def set_medium(self, m, eta):
        self.m.data[:] = m
        self.eta.data[:] = eta

    def drive(self, source, weights):
        source.data[:] = 0
        source.data[1 : 1 + self.steps] = self.wavelet[:, None] * weights

    def run(self, operator, **fields):
        operator.apply(time_m=1, time_M=self.steps, dt=self.dt, **fields)

    def recorded(self, receiver):
        return self.np.array(receiver.data[1 : 1 + self.steps : self.every])

    def model(self, weights):
        operator, u, source, receiver = self.operator("model")
        u.data_with_halo[:] = 0
        receiver.data[:] = 0
        self.drive(source, weights)
        self.run(operator)
        return self.recorded(receiver)

    def background(self, weights):
        operator, source = self.operator("field")
        u = self.field("u")
        self.drive(source, weights)
        self.run(operator, u=u)
        return u

    def scatter(self, u, dm):
        operator, v, receiver = self.operator("scatter")
        v.data_with_halo[:] = 0
        receiver.data[:] = 0
        self.dm.data[:] = 0
        self.dm.data[self.inside] = dm
        self.run(operator, u=u)
        return self.recorded(receiver)

    def migrate(self, u, data):
        operator, v, receiver = self.operator("migrate")
        v.data_with_halo[:] = 0
        self.image.data[:] = 0
        receiver.data[:] = 0
        receiver.data[1 : 1 + self.steps : self.every] = data
        self.run(operator, u=u)
        return self.np.array(self.image.data[self.inside])


class Engine:
    """What frames ask for, by the name of their `op`. Media, weights and fields are of each sample, or of one for all."""

    def __init__(self):
        self.waves = {}
        self.fields = {}

    def hello(self, header, arrays):
        return {"protocol": PROTOCOL, **versions()}, []

    def wave(self, header, arrays):
        self.waves[header["wave"]] = Wave(**header["options"], wavelet=arrays[0])
        return {}, []

    def model(self, header, arrays):
        wave, media, weights = self.survey(header, arrays)
        data = []
        for n in range(header["samples"]):
            wave.set_medium(*own(media, n))
            data += [wave.model(shot) for shot in own(weights, n)]
        return {}, data

    def field(self, header, arrays):
        wave, media, weights = self.survey(header, arrays)
        fields = []
        for n in range(header["samples"]):
            wave.set_medium(*own(media, n))
            fields.append([wave.background(shot) for shot in own(weights, n)])
        self.fields[header["field"]] = fields
        return {}, []

    def scatter(self, header, arrays):
        wave, media, fields = self.kept(header, arrays)
        data = []
        for n, dm in enumerate(arrays[2].reshape([-1, *wave.size])):
            wave.set_medium(*own(media, n))
            data += [wave.scatter(u, dm) for u in own(fields, n)]
        return {}, data

    def migrate(self, header, arrays):
        wave, media, fields = self.kept(header, arrays)
        data = arrays[2].reshape([header["samples"], header["shots"], -1, len(wave.points["receiver"])])
        images = []
        for n, shots in enumerate(data):
            wave.set_medium(*own(media, n))
            images.append(sum(wave.migrate(u, d) for u, d in zip(own(fields, n), shots)))
        return {}, images

    def forget(self, header, arrays):
        for kept in (self.waves, self.fields):
            kept.pop(header["number"], None)
        return {}, []

    def media(self, header, arrays):
        wave = self.waves[header["wave"]]
        m, eta = (a.reshape([-1, *wave.grid.shape]) for a in arrays[:2])
        return wave, list(zip(m, eta))

    def survey(self, header, arrays):
        return *self.media(header, arrays), arrays[2].reshape([-1, *header["weights"]])

    def kept(self, header, arrays):
        return *self.media(header, arrays), self.fields[header["field"]]


def own(values, n):
    """That of a sample, or the one that all share."""
    return values[n if len(values) > 1 else 0]


def main():
    engine = Engine()
    while (frame := receive()) is not None:
        header, arrays = frame
        try:
            if header["op"] != "hello":
                import numpy

                arrays = [numpy.frombuffer(a, "<f4") for a in arrays]
            send(*getattr(engine, header["op"])(header, arrays))
        except Exception as error:
            last = traceback.format_exception_only(error)[-1].strip()
            send({"error": last, "trace": traceback.format_exc()})


if __name__ == "__main__":
    main()
