"""Training steps of a network in PyTorch and in the libraries that are built on it.

Called with a library, a problem and a number of threads. Says what it has once all of it is loaded;
then answers `run 0` with the milliseconds of a step (loss, gradients, Adam), and `result 0 <file>` by
writing the loss and the gradients of all parameters. See process.ts for the lines.
"""

import json
import sys
import time
from pathlib import Path

import numpy
import torch
from libraries import models
from twins import Problem, Twin

library, path, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
torch.manual_seed(0)
description = json.loads(Path(path).read_text())
problem = Problem(description, numpy.fromfile(description["numbers"], dtype=numpy.float32))
model = models[library, problem.sizes["kind"]](problem)
model()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-9)


def differentiate():
    optimizer.zero_grad()
    loss = model()
    loss.backward()
    return loss


def say(answer):
    print(json.dumps(answer), flush=True)


# Of libraries whose parameters are their own there is nothing to compare.
say([{"name": "training step", "compared": isinstance(model, Twin)}])
for line in sys.stdin:
    request, _, *file = line.split(maxsplit=2)
    if request == "result":
        loss = differentiate()
        arrays = [loss.detach(), *(p.grad for p in problem.parameters.values())]
        arrays = [a.flatten().numpy() for a in arrays]
        numpy.concatenate(arrays).tofile(file[0].strip())
        say({"lengths": [a.size for a in arrays]})
        continue
    start = time.perf_counter()
    differentiate()
    optimizer.step()
    say({"milliseconds": 1000 * (time.perf_counter() - start)})
