"""Training loops as users write them, in a module of their own."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling


def fit(initialize: Any, seed: int) -> list[dict[str, float]]:
    """Fits a sine; each evaluation is a row."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(64, 1, generator=generator) * 2 - 1
    y = torch.sin(3 * x)
    model = initialize(nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1)), batch=(x, y), loss=F.mse_loss)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    rows = []
    for step in range(31):
        loss = F.mse_loss(model(x), y)
        if step % 10 == 0:
            print(f"step {step}: {loss.item()}")
            rows.append({"step": step, "error": loss.item()})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return rows


def drawn(initialize: Any, seed: int) -> float:
    """Its score is the first weight, so that nothing but initializer and seed decides; it also draws by itself."""
    model = initialize(nn.Linear(3, 2))
    return model.weight[0, 0].item() + 1e-6 * torch.rand(()).item()


def several(initialize: Any, seed: int) -> float:
    """Initializes a student and its teacher."""
    student, teacher = initialize(nn.Linear(3, 2)), initialize(nn.Linear(5, 2, bias=False))
    return float(student.weight.abs().mean() + teacher.weight.abs().mean())


def faulty(initialize: Any, seed: int) -> Any:
    """Does something else wrong with each seed."""
    if seed == 0:
        return {"error": 1.0}
    initialize(nn.Linear(3, 2))
    if seed == 3:
        raise RuntimeError("out of luck")
    if seed == 4:
        os._exit(3)
    if seed == 12:
        sys.exit("enough")
    return {
        1: {"accuracy": 1.0},
        2: "good",
        5: {"error": float("nan")},
        6: [],
        7: {"error": "low"},
        9: {"error": 10**400},
        10: {"error": 1.0, "step": 0.5},
        11: {"error": 1.0, "step": float("nan")},
    }.get(seed, 0.5)


def unfinished(initialize: Any, seed: int) -> Iterator[float]:
    """Nothing of it runs until somebody asks for its values."""
    initialize(nn.Linear(3, 2))
    yield 1.0


def returned(initialize: Any, seed: int) -> Any:
    """A loss as torch and NumPy have it."""
    initialize(nn.Linear(3, 2))
    one = torch.ones((), requires_grad=True)
    return {0: one, 1: one.detach().numpy(), 2: np.float32(1.0), 3: ({"error": one},), 4: {"error": one}}[seed]


def wandering(initialize: Any, seed: int) -> float:
    """It goes to the folder that SOMEWHERE names, and does not come back."""
    os.chdir(os.environ["SOMEWHERE"])
    if seed == 1:
        raise RuntimeError("lost")
    return initialize(nn.Linear(3, 2)).weight.abs().mean().item()
