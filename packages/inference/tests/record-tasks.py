"""Records what sbibm 1.1.0 says of its tasks: densities, ODEs, and how simulations and reference samples are distributed.

    pip install sbibm==1.1.0 scipy && python3 record-tasks.py > recorded/tasks.json

The ODEs of sir and lotka_volterra are solved by scipy in place of Julia. sbibm: MIT license, copyright 2020 Jan-Matthis
Lueckmann, Jan Boelts, David S. Greenberg, Pedro J. Gonçalves, Jakob H. Macke.
"""

import json
import sys
import types

# What sbibm calls Julia by.
sys.modules["diffeqtorch"] = types.SimpleNamespace(DiffEq=object)

import numpy
import sbibm
import torch
from scipy import stats
from scipy.integrate import solve_ivp

torch.manual_seed(0)
rng = numpy.random.default_rng(0)


def sir(theta):
    beta, gamma = theta
    rhs = lambda t, y: [-beta * y[0] * y[1] / 1e6, beta * y[0] * y[1] / 1e6 - gamma * y[1]]
    times = numpy.arange(0, 160, 17.0)
    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-9}
    return solve_ivp(rhs, (0, 160), [1e6 - 1, 1], t_eval=times, **options).y[1] / 1e6


def lotka_volterra(theta):
    a, b, c, d = theta
    rhs = lambda t, y: [(a - b * y[1]) * y[0], (d * y[0] - c) * y[1]]
    times = numpy.arange(0, 20, 2.1)
    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-14}
    return solve_ivp(rhs, (0, 20), [30, 1], t_eval=times, **options).y.reshape(-1)


def log_likelihood(name, theta, x):
    if name == "two_moons":
        torch.set_default_dtype(torch.float64)
        value = task._likelihood(torch.tensor(theta)[None], torch.tensor(x)[None]).item()
        torch.set_default_dtype(torch.float32)
        return value
    if name.startswith("gaussian_linear"):
        return stats.norm(theta, 0.1**0.5).logpdf(x).sum()
    if name == "gaussian_mixture":
        both = [stats.norm(theta, scale).logpdf(x).sum() for scale in (1, 0.1)]
        return numpy.logaddexp(*both) - numpy.log(2)
    if name == "slcp":
        s1, s2, rho = theta[2] ** 2, theta[3] ** 2, numpy.tanh(theta[4])
        s = numpy.array([[s1**2, rho * s1 * s2], [rho * s1 * s2, s2**2]]) + 1e-6 * numpy.eye(2)
        return stats.multivariate_normal(theta[:2], s).logpdf(numpy.reshape(x, (4, 2))).sum()
    if name == "sir":
        return stats.binom(1000, sir(theta)).logpmf(x).sum()
    return stats.lognorm(0.1, scale=lotka_volterra(theta)).logpdf(x).sum()


def simulate(name, theta, count):
    if name == "sir":
        return rng.binomial(1000, sir(theta), (count, 10))
    if name == "lotka_volterra":
        return lotka_volterra(theta) * numpy.exp(0.1 * rng.normal(size=(count, 20)))
    return task.get_simulator()(torch.tensor([theta] * count).float()).numpy().reshape(count, -1)


def distribution(samples):
    """Of each column three values, and which share of the samples is at most as large."""
    values = numpy.quantile(samples, [0.1, 0.5, 0.9], axis=0).T
    shares = [[float((c <= v).mean()) for v in vs] for c, vs in zip(samples.T, values)]
    return {"values": values.tolist(), "shares": shares}


out = {}
for name in sys.argv[1:] or [
    "two_moons",
    "gaussian_linear",
    "gaussian_linear_uniform",
    "gaussian_mixture",
    "slcp",
    "sir",
    "lotka_volterra",
]:
    task = sbibm.get_task(name)
    prior = task.get_prior_dist()
    observation = task.get_observation(1)[0].double().tolist()
    true = task.get_true_parameters(1)[0].double().tolist()
    reference = task.get_reference_posterior_samples(1)
    near = reference[:3].double().tolist()
    out[name] = {
        "theta": near,
        "logPrior": [prior.log_prob(torch.tensor(t).float()).item() for t in near],
        "logLikelihood": [log_likelihood(name, numpy.array(t), observation) for t in near],
        "simulations": distribution(simulate(name, true, 20000)),
        "reference": distribution(reference.numpy()),
    }
json.dump(out, sys.stdout, indent=1)
