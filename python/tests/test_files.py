"""Files that are read and written by NumPy alone, and those that are refused."""

from __future__ import annotations

import json
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import invnet  # noqa: E402
from invnet import safetensors  # noqa: E402

MODELS = Path(__file__).parent / "models"
FLOW = MODELS / "flow-of-a-glow-on-vectors.safetensors"


def bytes_with(config=None, arrays=None, **strings):
    """A file of the flow, with something changed."""
    ours, metadata = safetensors.read(FLOW.read_bytes())
    if config is not None:
        metadata["invnet.model"] = json.dumps(config)
    metadata.update({f"invnet.{key}": value for key, value in strings.items()})
    return safetensors.write(ours if arrays is None else arrays(dict(ours)), metadata)


class Files(unittest.TestCase):
    def test_a_model_is_its_configuration_and_arrays(self):
        model = invnet.load(FLOW)
        self.assertEqual((model.type, model.config["network"]["hidden"]), ("Flow", 3))
        w1 = model.arrays["network.scales.0.steps.0.coupling.conditioner.w1"]
        self.assertEqual((w1.shape, w1.dtype), ((3, 1), np.float64))
        self.assertEqual(model.metadata, {"row": "Flow of a Glow on vectors"})
        self.assertEqual((model.version, model.frozen, model.evaluation), (2, (), ()))

    def test_all_of_a_file_comes_back(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in MODELS.glob("*.safetensors"):
                if path.name == "expected.safetensors":
                    continue
                again = Path(folder) / path.name
                invnet.save(invnet.load(path), again)
                before, after = (safetensors.read(p.read_bytes()) for p in (path, again))
                self.assertEqual(before[1].keys(), after[1].keys())
                for name, array in before[0].items():
                    self.assertEqual(array.tobytes(), after[0][name].tobytes())
            self.assertEqual([p for p in Path(folder).iterdir() if p.suffix == ".tmp"], [])

    def test_the_state_of_an_optimizer_is_no_part_of_the_model(self):
        moment = {"optimizer/adam/m/network.x": np.ones(2, np.float32)}
        data = bytes_with(arrays=lambda ours: ours | moment, optimizer="adam")
        self.assertEqual(invnet.model_of_bytes(data).arrays.keys(), invnet.load(FLOW).arrays.keys())

    def test_element_types_of_numpy_are_read(self):
        given = {"a": np.arange(3, dtype=np.int64), "b": np.array(True), "c": np.ones((2, 0), "f2")}
        found, metadata = safetensors.read(safetensors.write(given, {"k": "é"}))
        self.assertEqual(metadata, {"k": "é"})
        for name, array in given.items():
            self.assertEqual(
                (found[name].dtype, found[name].tolist()), (array.dtype, array.tolist())
            )

    def test_what_is_no_whole_file_is_refused(self):
        whole = FLOW.read_bytes()
        entry = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
        for data, problem in [
            (b"", "has 0 bytes"),
            (b"PK\x03\x04 some archive of another kind", "does not start with the length"),
            (whole[:100], "is truncated: its header"),
            (whole[:-1], "is truncated"),
            (whole + b"\0", "trailing bytes"),
            ((9).to_bytes(8, "little") + b"[1, 2, 3]", "not a JSON object"),
            ((9).to_bytes(8, "little") + b"not JSON!", "not JSON"),
            (len(entry).to_bytes(8, "little") + entry + b"..", "'a' as BF16"),
            (whole.replace(b'"shape":[3]', b'"shape":[4]', 1), "needs another number"),
        ]:
            with (
                self.subTest(problem),
                self.assertRaisesRegex(invnet.SafetensorsFormatError, problem),
            ):
                invnet.model_of_bytes(data)

    def test_what_is_no_model_of_ours_is_refused(self):
        ruined = {"network.scales.0.steps.0.actnorm.scale": np.array([np.nan, 1.0])}
        for data, problem in [
            (safetensors.write({}, {}), "weights alone"),
            (bytes_with(format="3"), "version 3 of the form; this package reads up to 2"),
            (bytes_with(format="two"), "version two"),
            (bytes_with(model="{"), "'invnet.model' is not JSON"),
            (bytes_with(model="[" * 10**5), "nested too deeply"),
            (bytes_with(model="[1]"), "no configuration"),
            (bytes_with(frozen="{}"), "'invnet.frozen' is no list"),
            (bytes_with(arrays=lambda ours: ours | ruined), "actnorm.scale' holds numbers that"),
        ]:
            with self.subTest(problem), self.assertRaisesRegex(invnet.CheckpointError, problem):
                invnet.model_of_bytes(data)
        with self.assertRaisesRegex(invnet.CheckpointError, "nowhere.safetensors cannot be read"):
            invnet.load("nowhere.safetensors")
        with self.assertRaisesRegex(ValueError, "framework is 'jax'"):
            invnet.load(FLOW, framework="jax")

    def test_what_our_side_would_refuse_is_not_written(self):
        model = invnet.load(FLOW)
        for wrong, problem in [
            ({"arrays": {"w": np.array([np.inf])}}, "not finite"),
            ({"arrays": {"w": np.ones(1, np.float16)}}, "float16"),
            ({"metadata": {"invnet.format": "1"}}, "begin with 'invnet.'"),
            ({"metadata": {"step": 1}}, "expected a text"),
        ]:
            with self.subTest(problem), self.assertRaisesRegex(invnet.CheckpointError, problem):
                invnet.model_bytes(invnet.Model(**{"config": model.config, "arrays": {}} | wrong))


if __name__ == "__main__":
    unittest.main()
