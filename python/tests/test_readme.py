"""The programs of the README run, with the files that they name, and print what they say."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import support  # noqa: F401
from test_files import FLOW, MODELS

README = Path(__file__).parents[1] / "README.md"


class Readme(unittest.TestCase):
    def test_programs(self):
        programs = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
        self.assertTrue(programs)
        here, names = os.getcwd(), {}
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(FLOW, Path(folder) / "moons.safetensors")
            loop = MODELS / "unrolledloop-linear-1d.safetensors"
            shutil.copy(loop, Path(folder) / "loop.safetensors")
            os.chdir(folder)
            try:
                for program in programs:
                    printed = io.StringIO()
                    with contextlib.redirect_stdout(printed):
                        exec(program, names)
                    said = re.findall(r"print\(.*\)  # (.*)|^ *# ([a-z].*)", program, re.MULTILINE)
                    expected = [a or b for a, b in said]
                    self.assertEqual(printed.getvalue().splitlines(), expected)
            finally:
                os.chdir(here)


if __name__ == "__main__":
    unittest.main()
