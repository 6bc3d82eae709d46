"""Neural posterior estimation by the Python package sbi, with its own defaults.

Called with a problem (sbi-peer.ts), a density estimator of sbi (maf or nsf) and a number of threads; says the seconds of training and
of sampling and the epochs in one line of JSON, and writes the samples of all observations in float32.
"""

import contextlib
import io
import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy
import torch
from sbi.inference import NPE
from sbi.utils import BoxUniform
from torch import distributions

path, estimator, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
torch.manual_seed(0)
problem = json.loads(Path(path).read_text())
# It writes logs where it runs.
os.chdir(Path(path).parent)
# Numbers of JSON without a fraction are integers.
tensor = partial(torch.tensor, dtype=torch.float32)
numbers = torch.from_numpy(numpy.fromfile(problem["numbers"], dtype=numpy.float32))
count, parameters, data = (problem[n] for n in ("count", "parameters", "data"))
theta = numbers[: count * parameters].reshape(count, parameters)
x = numbers[count * parameters :].reshape(count, data)
prior = {
    "box": lambda a, b: BoxUniform(a, b),
    "normal": lambda a, b: distributions.MultivariateNormal(a, torch.diag(b**2)),
    "log-normal": lambda a, b: distributions.Independent(distributions.LogNormal(a, b), 1),
}[problem["prior"]["kind"]](*(tensor(problem["prior"][n]) for n in ("first", "second")))

start = time.perf_counter()
# What it says of its progress is no answer.
with contextlib.redirect_stdout(io.StringIO()):
    inference = NPE(prior, density_estimator=estimator, show_progress_bars=False)
    inference.append_simulations(theta, x).train()
    posterior = inference.build_posterior()
training = time.perf_counter() - start
start = time.perf_counter()
shape = (problem["samples"],)
samples = [
    posterior.sample(shape, x=tensor([observed]), show_progress_bars=False)
    for observed in problem["observations"]
]
sampling = time.perf_counter() - start
torch.cat(samples).numpy().astype(numpy.float32).tofile(problem["out"])
epochs = inference.summary["epochs_trained"][-1]
print(json.dumps({"training": training, "sampling": sampling, "epochs": int(epochs)}))
