"""What is asked of modules beside their function: training, sampling, copies, refusals."""

from __future__ import annotations

import copy
import itertools
import pickle
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import torch
from support import NAMED
from test_files import FLOW, MODELS, bytes_with

import invnet
import invnet.torch
from invnet.torch.build import build
from invnet.torch.fixed_point import fixed_point
from invnet.torch.tree import assign


def model_at(slug):
    return invnet.torch.load(MODELS / f"{slug}.safetensors", named=NAMED)


class Modules(unittest.TestCase):
    def test_a_flow_trains_and_goes_back_into_a_file(self):
        torch.manual_seed(0)
        flow = invnet.load(FLOW, framework="torch")
        x = torch.randn(64, 2, dtype=torch.float64) * 2 + 1
        optimizer = torch.optim.Adam(flow.parameters(), lr=0.05)
        losses = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = -flow.log_prob(x).mean()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        self.assertLess(losses[-1], losses[0] - 0.1)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trained.safetensors"
            flow.metadata["trained"] = "in torch"
            invnet.save(flow, path)
            again = invnet.load(path, framework="torch")
            self.assertTrue(torch.equal(flow.log_prob(x), again.log_prob(x)))
            self.assertEqual(again.metadata["trained"], "in torch")
            part = Path(folder) / "part.safetensors"
            invnet.save(flow.network, part)
            self.assertEqual(invnet.load(part).type, "Glow")

    def test_an_actnorm_that_was_trained_counts_as_set(self):
        def untouched(ours):
            for path in [p for p in ours if ".actnorm." in p]:
                ours[path] = ours[path] * 0 + path.endswith("scale")
            return ours

        flow = invnet.torch.module_of(invnet.model_of_bytes(bytes_with(arrays=untouched)))
        norm = "network.scales.0.steps.0.actnorm.initialized"
        self.assertEqual(invnet.torch.model_of(flow).arrays[norm], 0)
        with torch.no_grad():
            flow.get_parameter("network.scales.0.steps.0.actnorm.shift").add_(1)
        self.assertEqual(invnet.torch.model_of(flow).arrays[norm], 1)

    def test_samples_have_a_generator_and_a_temperature(self):
        flow = invnet.load(FLOW, framework="torch")
        draw = lambda **options: flow.sample(  # noqa: E731
            5, (2,), generator=torch.Generator().manual_seed(3), **options
        )
        self.assertEqual((draw().shape, draw().dtype), (torch.Size([5, 2]), torch.float64))
        self.assertTrue(torch.equal(draw(), draw()))
        self.assertTrue(torch.equal(draw(temperature=0)[0], draw(temperature=0)[1]))
        conditional = model_at("flow-with-a-context-in-evaluation-mode-but-for-its-base")
        context = torch.ones(1, 2, 4, dtype=torch.float64)
        self.assertEqual(conditional.sample(3, (1, 4), context=context).shape, (3, 1, 4))
        squeeze = invnet.torch.Flow(model_at("shufflesqueeze-column-1d"))
        self.assertEqual(squeeze.sample(3, (2, 6)).shape, (3, 2, 6))

    def test_a_lane_is_what_a_network_does_to_the_condition(self):
        for slug, sizes in [
            ("conditionalhint-1d", (2, 3)),
            ("multiscaleconditionalhint-1d", (1, 1)),
        ]:
            network = model_at(slug).inner
            x, y = (torch.randn(2, c, 8, dtype=torch.float64) for c in sizes)
            (_, z), _ = network((x, y))
            self.assertLess((network.lane(y)[0] - z).abs().max(), 1e-12)

    def test_conditioners_of_a_network_come_from_a_function_or_a_list(self):
        shapes = []

        def block(*shape):
            shapes.append(shape)
            return lambda x: x

        sizes = {"channels": 2, "ndims": 0, "scales": 1, "steps": 2}
        glow = {"$type": "Glow", "conditioner": {"$named": "block"}} | sizes
        build(glow, {"block": lambda: block})
        self.assertEqual(shapes, [(1, 2, 0, 0)] * 2)
        one = {"$type": "DenseBlock", "inChannels": 1, "hidden": 4, "outChannels": 2}
        with self.assertRaisesRegex(invnet.ConfigurationError, "there are 1 conditioners"):
            build(glow | {"conditioner": [one]}, {})

    def test_inverses_are_differentiated(self):
        for slug, shape in [
            ("autoregressive-affine-0d", (1, 3)),
            ("invertibleresidual-0d", (1, 3)),
            ("midpointflow-0d", (1, 2)),
            ("planar-0d", (1, 2)),
            ("sylvester-1d", (1, 3, 2)),
            ("transformercoupling-rational-quadratic-0d", (1, 3)),
        ]:
            module = model_at(slug)
            numbers = torch.Size(shape).numel()
            y = torch.linspace(-1, 1, numbers, dtype=torch.float64).reshape(shape)
            jacobian = torch.autograd.functional.jacobian(lambda t, f=module: f.inverse(t)[0], y)
            volume = torch.linalg.slogdet(jacobian.reshape(y.numel(), -1)).logabsdet
            with torch.no_grad():
                x, logdet = module.inverse(y)
                self.assertLess((module(x)[0] - y).abs().max(), 1e-9, slug)
                self.assertLess((volume - logdet).abs().max(), 1e-9, slug)

    def test_samples_of_continuous_flows_take_no_derivatives(self):
        by_steps = model_at("flow-of-a-continuousflow-of-equal-steps-estimated")
        for flow in (by_steps, invnet.torch.Flow(model_at("midpointflow-0d"))):
            draw = lambda: torch.Generator().manual_seed(3)  # noqa: E731
            with mock.patch("torch.autograd.grad", side_effect=AssertionError):
                x = flow.sample(4, (2,), generator=draw())
                self.assertRaises(AssertionError, flow.log_prob, x)
            z = torch.randn(4, 2, generator=draw(), dtype=torch.float64)
            self.assertLess((x - flow.inverse(z)[0]).abs().max(), 1e-14)

    def test_iterations_end_where_rounding_keeps_them_moving(self):
        start = torch.ones(1, 1)
        step = lambda z: torch.where(z > 1, 1 - 1e-5, 1 + 1e-5)  # noqa: E731
        self.assertLess((fixed_point("f", step, start, 9, rounding=1e-4) - 1).abs(), 2e-5)
        for rounding in (0.0, 1e-5):
            with self.assertRaisesRegex(ValueError, "f: after 9 iterations the change is 2"):
                fixed_point("f", step, start, 9, rounding=rounding)
        # Two large numbers that nearly cancel, of which a step sees other digits.
        field = {"$type": "SmoothField", "channels": 2, "hidden": [2], "frequencies": 1}
        flow = build({"$type": "MidpointFlow", "field": field, "steps": 8}, {})
        numbers = {
            "w1": [[2, 1], [2, 1]],
            "u1": [[0, 0], [0, 0]],
            "b1": [0, 1e-4],
            "w2": [[2000, -2000], [-2000, 2000]],
            "u2": [[0.5, -0.3], [-0.7, 0.2]],
            "b2": [0.1, -0.2],
        }
        assign(flow, {f"field.{name}": torch.tensor(v) * 1.0 for name, v in numbers.items()})
        x = torch.randn(200, 2, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            self.assertLess((flow.inverse(flow(x)[0])[0] - x).abs().max(), 1e-3)

    def test_copies_and_pickles_are_the_same_function(self):
        for slug in ("multiscalehint-1d", "resnet-evaluation-1d", "customblock-with-a-parameter"):
            module = model_at(slug)
            state = module.state_dict()
            for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
                self.assertEqual(list(other.state_dict()), list(state))
                for name, tensor in other.state_dict().items():
                    self.assertTrue(torch.equal(tensor, state[name]))
                    self.assertNotEqual(tensor.data_ptr(), state[name].data_ptr())
            module.double().float()
            self.assertEqual({t.dtype for t in module.parameters()}, {torch.float32})

    def test_statistics_move_in_training_only(self):
        norm = model_at("batchnorm-1d")
        x = torch.randn(6, 2, 5, dtype=torch.float64) + 3
        theirs = torch.nn.BatchNorm1d(2, dtype=torch.float64)
        theirs.load_state_dict(
            {
                "weight": norm.scale,
                "bias": norm.shift,
                "running_mean": norm.runningMean,
                "running_var": norm.runningVariance,
                "num_batches_tracked": torch.tensor(0),
            }
        )
        for mode in (True, False):
            norm.train(mode), theirs.train(mode)
            self.assertLess((norm(x) - theirs(x)).abs().max(), 1e-12)
            self.assertLess((norm.runningVariance - theirs.running_var).abs().max(), 1e-12)

    def test_pixels_become_data_with_a_density(self):
        v = torch.arange(256).repeat(50)
        x = invnet.torch.dequantize(v, generator=torch.Generator().manual_seed(1))
        self.assertTrue(torch.equal((x * 256).floor().long(), v))
        self.assertTrue(0 <= x.min() and x.max() < 1)
        odd = torch.arange(1000)
        self.assertTrue(
            torch.equal((invnet.torch.dequantize(odd, 1000) * 1000).floor().long(), odd)
        )
        self.assertAlmostEqual(invnet.torch.bits_per_dim(0.0, 10), 8)
        with self.assertRaisesRegex(ValueError, "from 0 to 3"):
            invnet.torch.dequantize(torch.tensor([4]), 4)

    def test_noise_for_pixels_is_drawn_or_given(self):
        model = model_at("variationaldequantization")
        draw = lambda: torch.Generator().manual_seed(3)  # noqa: E731
        v = torch.arange(5).repeat(2).reshape(5, 1, 2)
        z = torch.randn(5, 1, 2, generator=draw(), dtype=torch.float64)
        drawn = model.bound(v, generator=draw())
        self.assertTrue(torch.equal(drawn, model.bound(v, z=z)))
        self.assertFalse(torch.equal(drawn, model.bound(v)))
        with self.assertRaisesRegex(ValueError, "bound: expected pixels from 0 to 4"):
            model.bound(v + 1)

    def test_noise_keeps_pixels_in_their_level_and_has_the_gradient_of_where_it_was(self):
        moved = {"$type": "Flow", "network": {"$type": "AffineLayer", "channels": 1}}
        still = {"$type": "Flow", "network": {"$type": "Identity"}}
        config = {"$type": "VariationalDequantization", "flow": still, "noise": moved, "levels": 49}
        v, z = torch.arange(49).reshape(49, 1), torch.linspace(-1, 1, 49).reshape(49, 1)
        # Noise that is nearly 0, or so near to 1 that rounding takes the last pixels beyond.
        far = ((torch.float32, 14.0), (torch.float64, 34.0))
        for (kind, size), sign in itertools.product(far, (-1, 1)):
            shift = sign * size
            arrays = {
                f"noise.network.{name}": torch.full((1,), value, dtype=kind).numpy()
                for name, value in (("scale", 1), ("shift", -shift))
            }
            model = invnet.torch.module_of(invnet.Model(config=config, arrays=arrays))
            first = lambda x, context: x[:, 0]  # noqa: E731
            with mock.patch.object(model.flow, "log_prob", side_effect=first) as seen:
                model.bound(v, z=z.to(kind))
            x = seen.call_args.args[0]
            self.assertTrue(torch.equal((x * 49).floor().long(), v))
            x.sum().backward()
            u = torch.sigmoid(z.to(kind) + shift)
            slope = model.get_parameter("noise.network.shift").grad
            expected = -(u * (1 - u)).sum() / 49
            self.assertLess((slope / expected - 1).abs(), 1e-5)


class Refusals(unittest.TestCase):
    def refused(self, kind, problem, config=None, arrays=None, named=None, **strings):
        data = bytes_with(config, arrays, **strings)
        with self.subTest(problem), self.assertRaisesRegex(kind, problem):
            invnet.torch.module_of(invnet.model_of_bytes(data), named=named)

    def test_configurations_by_type_name_and_path(self):
        def flow(network):
            return {"$type": "Flow", "network": network}

        layers = [{"$type": "ActNorm", "channels": 2}, {"$type": "Octave", "channels": 2}]
        octave = flow({"$type": "Sequential", "layers": layers})
        block = {"$type": "CustomBlock", "parts": {"$named": "doubling"}}
        coupling = flow({"$type": "AdditiveCoupling", "conditioner": block})
        glow = invnet.load(FLOW).config["network"]
        estimated = model_at("invertibleresidual-0d").config | {"logdet": "series"}
        parts = {"scales.9": {"$type": "Identity"}}
        smooth = {"$type": "SmoothField", "channels": 2}
        followed = {"$type": "ContinuousFlow", "field": smooth}
        unsmooth = model_at("conditionerfield-with-a-context").config
        for config, problem in [
            (octave, "at 'network.layers.1' is of the type 'Octave', which is not in the Python"),
            (flow(estimated), "at 'network' .* estimates are not in the Python package yet"),
            (coupling, "at 'network.conditioner.parts' needs 'doubling'"),
            (flow(glow | {"depth": 3}), "at 'network' cannot be built as a Glow: .*'depth'"),
            (flow(glow | {"steps": 10**9}), "steps is 1000000000"),
            (flow({"$ref": 7}), "at 'network' refers to part 7"),
            (flow(glow | {"$parts": parts}), r"'network.\$parts.scales.9' cannot be put in"),
            (flow({"$type": ["Glow"]}), r"of the type \['Glow'\]"),
            ({"$type": "relu"}, "is no configuration of a module"),
            (flow(followed | {"solver": "euler"}), "solver is 'euler', which is not known"),
            (flow(followed | {"divergence": "hutchinson"}), "seed is None; expected one"),
            (flow(followed | {"seed": 1}), "seed is 1; expected one for 'hutchinson' alone"),
            (flow(followed | {"divergence": "none"}), "divergence is 'none', which is not known"),
            (flow(followed | {"field": {"$type": "Identity"}}), "expected a velocity field"),
            (flow({"$type": "MidpointFlow", "field": unsmooth}), "expected a SmoothField"),
            (flow(followed | {"field": smooth | {"activation": "relu"}}), "activation is 'relu'"),
            (
                {"$type": "VariationalDequantization", "flow": flow(glow), "noise": glow},
                "noise is a Glow; expected a flow",
            ),
        ]:
            self.refused(invnet.ConfigurationError, problem, config)
        self.refused(
            invnet.ConfigurationError, "got 3 for 'doubling'", coupling, named={"doubling": 3}
        )

    def test_arrays_that_do_not_fit(self):
        glow = invnet.load(FLOW).config
        wide = glow | {"network": glow["network"] | {"hidden": 10**6}}
        shift = "network.scales.0.steps.0.actnorm.shift"
        fewer = lambda ours: {k: v for k, v in ours.items() if k != shift}  # noqa: E731
        more = lambda ours: ours | {"extra": ours[shift]}  # noqa: E731
        self.refused(invnet.CheckpointError, r"w1' is \[3, 1\]; expected \[1000000, 1\]", wide)
        self.refused(invnet.CheckpointError, f"it lacks '{shift}'", arrays=fewer)
        self.refused(invnet.CheckpointError, "it has 'extra', which is unexpected", arrays=more)
        self.refused(invnet.CheckpointError, "freezes 'w'", frozen='["w"]')
        self.refused(invnet.CheckpointError, "module 99", evaluation="[99]")

    def test_calls(self):
        flow, coupling = invnet.torch.load(FLOW), model_at("conditionalglowcoupling-1d")
        x, pair = torch.zeros(2, 3, 5).double(), model_at("basiccoupling-1d").inner
        context = torch.zeros(2, 2, 5).double()
        midpoint = model_at("midpointflow-with-a-context-0d")
        midpoint.max_iterations = 2
        followed = model_at("continuousflow-of-short-steps-with-a-context")
        followed.steps = 2
        for call, problem in [
            (lambda: flow.log_prob(torch.zeros(2, 3).double()), r"got \[2, 3\]; expected \[N, 2"),
            (lambda: flow.log_prob(x[:, :2, 0], context), "a context, which nothing in it uses"),
            (lambda: coupling(x), "expected a context, got none"),
            (lambda: coupling(x[:1], context), "the context has 2 entries; expected 1"),
            (lambda: pair(x), "BasicCoupling.forward: got Tensor; expected a pair of tensors"),
            (lambda: model_at("allinoneblock-hard-0d")(x[:, :2, 0]), r"expected \[N, 3, "),
            (lambda: model_at("autoregressive-affine-0d")(x[:, 0]), r"\[2, 5\]|\[1, 5\]"),
            (lambda: model_at("graphnetwork-0d")(x[:, :, 0]), r"got \[2, 3\]; expected \[2, 4"),
            (lambda: model_at("deepset")(x), r"expected sets \[N, elements, 2\]"),
            (lambda: flow.sample(1, (2,), temperature=-1), "temperature is -1"),
            (lambda: flow.sample(0, (2,)), "n is 0; expected at least 1"),
            (lambda: flow.log_prob(torch.zeros(0, 2)), "no samples"),
            (lambda: model_at("haarsqueeze-1d")(x), "even spatial sizes"),
            (lambda: followed(x[:, :2, 0]), "SmoothField: expected a context, got none"),
            (lambda: followed(x[:, :2, 0], context[:, :2, 0]), r"context is \[2, 2\]; .* \[2, 1\]"),
            (lambda: followed(x[:, :2, 0] + 1, context[:, :1, 0]), "after 2 steps .* % of the way"),
            (lambda: midpoint(x[:, :2], context[:, :1, 0]), r"\[1, 2, 5\]; expected \[1, 2\]"),
            (lambda: midpoint(x[:, :2, 0] + 1, context[:, :1, 0]), "MidpointFlow: after 2 iter"),
        ]:
            with self.subTest(problem), self.assertRaisesRegex(ValueError, problem):
                call()

    def test_saving_what_our_side_could_not_load(self):
        flow = invnet.torch.load(FLOW)
        identity = {"$type": "Identity", "$id": 1}
        inner = {"$type": "Sequential", "layers": [{"$ref": 1}]}
        outer = {"$type": "Sequential", "layers": [identity, inner]}
        sharing = invnet.torch.module_of(invnet.Model(config=outer, arrays={}))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            for module, problem in [
                (copy.deepcopy(flow).half(), "is of torch.float16"),
                (flow.get_submodule("network.scales.0.steps.0.coupling"), "no configuration"),
                (torch.nn.Linear(1, 1), "Linear has no configuration"),
                (sharing.layers[1], "shares parts with others"),
            ]:
                with self.subTest(problem), self.assertRaisesRegex(invnet.CheckpointError, problem):
                    invnet.save(module, path)
                self.assertFalse(path.exists())


if __name__ == "__main__":
    unittest.main()
