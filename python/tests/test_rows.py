"""Every row of the tables of InvNet: the same function, the same gradients, the same file back."""

from __future__ import annotations

import os
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from support import FOLDER, NAMED, expectations

import invnet
import invnet.torch
from invnet.torch.flows import VariationalDequantization
from invnet.torch.tree import places_in

# By what was recorded; torch computes all in float64, so that the rounding is of one side alone.
TOLERANCES = {"float64": 1e-10, "float32": 1e-5}


def outputs(module, x, context=None, z=None, dy=None):
    """All that a row is asked about."""
    if isinstance(module, VariationalDequantization):
        return {"bound": module.bound(x, context, z=z)}
    if isinstance(module, invnet.torch.Flow):
        return {"logProb": module.log_prob(x, context)}
    if isinstance(module, invnet.torch.Conditioner):
        return {"y": module(x, context)}
    y, logdet = module(x, context)
    return {"y": y, "logdet": logdet}


def loss_of(found, dy=None):
    """What the recorded gradients are of; None where there are none."""
    if "bound" in found:
        return -found["bound"].mean()
    if dy is None:
        return None
    loss = (found["y"] * dy.reshape(found["y"].shape)).sum()
    if "logdet" in found:
        loss = loss + (found["logdet"] * found["logdet"].detach()).sum()
    return loss


class Rows(unittest.TestCase):
    def check(self, name, found, expected):
        limit = TOLERANCES[expected.dtype.name] * max(1.0, float(np.abs(expected).max()))
        self.assertEqual(tuple(found.shape), expected.shape, name)
        error = float(np.abs(found.detach().numpy() - expected).max())
        self.assertLessEqual(error, limit, f"{name} is off by {error}")

    def test_functions_and_gradients(self):
        for slug, (_, arrays) in expectations().items():
            with self.subTest(slug):
                module = invnet.torch.load(FOLDER / f"{slug}.safetensors", named=NAMED).double()
                inputs = {
                    k: torch.from_numpy(arrays[k]).double()
                    for k in ("x", "dy", "context", "z")
                    if k in arrays
                }
                x, context = inputs["x"], inputs.get("context")
                for given in (x, context):
                    if given is not None:
                        given.requires_grad_()
                found = outputs(module, **inputs)
                loss = loss_of(found, inputs.get("dy"))
                if loss is not None:
                    loss.backward()
                    leaves = {"dx": x, "dcontext": context}
                    leaves |= {f"{path}.grad": p for path, p in module.named_parameters()}
                    for name, leaf in leaves.items():
                        if leaf is not None and leaf.grad is not None:
                            found[name] = leaf.grad
                if "inverse.x" in arrays:
                    with torch.no_grad():
                        x_again, back = module.inverse(
                            torch.from_numpy(arrays["y"]).double(), context
                        )
                    found["inverse.x"] = x_again
                    self.check("the inverse's logdet", back, -arrays["logdet"])
                wanted = {k: v for k, v in arrays.items() if k not in inputs}
                for name, expected in wanted.items():
                    if name not in found and not np.any(expected):
                        continue  # a gradient of zero, which torch leaves out
                    self.assertIn(name, found)
                    self.check(name, found[name], expected)
                surplus = {k for k in found if k not in wanted and found[k].any()}
                self.assertEqual(surplus, set())

    def test_files_come_back(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = os.environ.get("INVNET_WRITTEN", folder)
            for slug, (places, _) in expectations().items():
                with self.subTest(slug):
                    path = FOLDER / f"{slug}.safetensors"
                    before = invnet.load(path)
                    module = invnet.torch.load(path, named=NAMED)
                    again = Path(folder) / path.name
                    invnet.save(module, again)
                    after = invnet.load(again)
                    self.assertEqual(before.config, after.config)
                    self.assertEqual(before.metadata, after.metadata)
                    self.assertEqual(set(before.frozen), set(after.frozen))
                    self.assertEqual(before.evaluation, after.evaluation)
                    self.assertEqual(set(before.arrays), set(after.arrays))
                    for name, array in before.arrays.items():
                        self.assertEqual(array.dtype, after.arrays[name].dtype)
                        self.assertEqual(array.tobytes(), after.arrays[name].tobytes(), name)
                    found = [[p, type(m).__name__] for p, m in places_in(module)]
                    self.assertEqual(found, places)

    def test_state_dicts_have_the_paths_of_files(self):
        for slug in expectations():
            with self.subTest(slug):
                path = FOLDER / f"{slug}.safetensors"
                arrays = invnet.load(path).arrays
                module = invnet.torch.load(path, named=NAMED)
                state = {k: v for k, v in module.state_dict().items() if not k.endswith("one")}
                self.assertEqual(set(state), set(arrays))
                other = invnet.torch.load(path, named=NAMED)
                for tensor in other.state_dict().values():
                    tensor.zero_()
                # Within a module of the user's, too.
                whole = torch.nn.Sequential(torch.nn.Linear(1, 1), other)
                whole.load_state_dict({f"1.{k}": v for k, v in module.state_dict().items()} | {
                    k: v for k, v in whole.state_dict().items() if k.startswith("0.")
                })  # fmt: skip
                for name, tensor in other.state_dict().items():
                    self.assertTrue(torch.equal(tensor, module.state_dict()[name]), name)


if __name__ == "__main__":
    unittest.main()
