"""Writes reference samples of a task of the benchmark of simulation-based inference, as sbibm 1.1.0 ships them.

Called with a task, the number of an observation from 1, and a file for the numbers, in float32. The package is found and not
imported: what it imports needs Julia.
"""

import bz2
import importlib.util
import sys
from pathlib import Path

import numpy

task, observation, out = sys.argv[1:]
spec = importlib.util.find_spec("sbibm")
if spec is None:
    sys.exit("sbibm is not installed (pip install --no-deps sbibm==1.1.0)")
folder = Path(spec.origin).parent / "tasks" / task / "files" / f"num_observation_{observation}"
with bz2.open(folder / "reference_posterior_samples.csv.bz2", "rt") as file:
    numpy.loadtxt(file, delimiter=",", skiprows=1, dtype=numpy.float32).tofile(out)
