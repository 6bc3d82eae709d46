"""Records what PyTorch's optimizers and schedules do: `python3 packages/train/tests/record-optimizers.py`.

Gradients are those of ½(x − 1)² + x⁴/4, in float64. Langevin dynamics, which PyTorch lacks, are written out here in
NumPy, with noise that is recorded too.
"""

import json
from pathlib import Path

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
START = [-1.5, 2.0, 0.25]
EVERY = 10


def trajectory(make, lr=0.05, steps=100):
    p = torch.tensor(START, requires_grad=True)
    optimizer = make([p], lr)
    points = []
    for step in range(steps):
        optimizer.zero_grad()
        ((p - 1).square() / 2 + p**4 / 4).sum().backward()
        optimizer.step()
        if step % EVERY == EVERY - 1:
            points.append(p.tolist())
    return points


def optimizers():
    from torch.optim import SGD, Adam, Adamax, AdamW

    return {
        "Adam": trajectory(lambda p, lr: Adam(p, lr=lr)),
        "Adam of other constants": trajectory(
            lambda p, lr: Adam(p, lr=lr, betas=(0.8, 0.95), eps=1e-6)
        ),
        "AdamW": trajectory(lambda p, lr: AdamW(p, lr=lr)),
        "AdamW of a large decay": trajectory(lambda p, lr: AdamW(p, lr=lr, weight_decay=0.5)),
        "Adamax": trajectory(lambda p, lr: Adamax(p, lr=lr)),
        "Adamax of other constants": trajectory(
            lambda p, lr: Adamax(p, lr=lr, betas=(0.7, 0.9), eps=1e-3)
        ),
        "SGD": trajectory(lambda p, lr: SGD(p, lr=lr)),
        "SGD with momentum": trajectory(lambda p, lr: SGD(p, lr=lr, momentum=0.9)),
        "SGD with Nesterov's": trajectory(
            lambda p, lr: SGD(p, lr=lr, momentum=0.9, nesterov=True, weight_decay=0.01)
        ),
    }


def langevin(rows=50, decay=0.9, epsilon=1e-3, lr=1e-3, steps=100):
    noise = np.random.default_rng(1).standard_normal((steps, len(START)))
    p, v, points = np.array(START), np.zeros(len(START)), []
    for step in range(steps):
        g = (p - 1) + p**3
        v = decay * v + (1 - decay) * g * g
        preconditioner = 1 / (epsilon + np.sqrt(v))
        drift = 0.5 * lr * preconditioner * rows * g
        p = p - drift + np.sqrt(lr * preconditioner) * noise[step]
        if step % EVERY == EVERY - 1:
            points.append(p.tolist())
    return {"noise": noise.tolist(), "points": points}


def rates(make, steps=50, losses=None):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = make(optimizer)
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if losses is None:
            if step < steps - 1:
                schedule.step()
        else:
            schedule.step(losses[step])
    return found


def schedules():
    from torch.optim.lr_scheduler import (
        CosineAnnealingLR,
        ExponentialLR,
        OneCycleLR,
        ReduceLROnPlateau,
    )

    rng = np.random.default_rng(2)
    losses = [float(3 / (1 + k) + 0.05 * rng.standard_normal() + 1) for k in range(50)]
    return {
        "cosine": rates(lambda o: CosineAnnealingLR(o, T_max=50, eta_min=0.01)),
        "exponential": rates(lambda o: ExponentialLR(o, gamma=0.9)),
        "oneCycle": rates(lambda o: OneCycleLR(o, max_lr=0.1, total_steps=50)),
        "oneCycle of other constants": rates(
            lambda o: OneCycleLR(
                o, max_lr=0.3, total_steps=50, pct_start=0.5, div_factor=5, final_div_factor=100
            )
        ),
        "losses": losses,
        "plateau": rates(
            lambda o: ReduceLROnPlateau(
                o, factor=0.5, patience=2, cooldown=1, threshold=1e-2, min_lr=0.004
            ),
            losses=losses,
        ),
    }


recorded = {"optimizers": optimizers(), "langevin": langevin(), "schedules": schedules()}
target = Path(__file__).parent / "optimizers.json"
target.write_text(json.dumps(recorded, indent=1) + "\n")
