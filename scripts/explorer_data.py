"""Simulate the networks that the explorer (docs/explorer.md) shows beside the theory; minutes on two cores.

    python scripts/explorer_data.py

Writes docs/_static/explorer/data.js. Every network is initbench's MLP without its last layer: as many inputs as units,
64 hidden layers, initialized by initbench. It gets three inputs x of norm |x|^2 = width: one, and two others that have
fixed correlations with it. Measured in the layers `LAYERS`, where z are the pre-activations of one layer:

- the variance: the mean of z^2 over the units, for the first input;
- the gradient: the mean of |J v|^2 / |v|^2 over random directions v, where J is the Jacobian of z with respect to the
  pre-activations of layer 1. Its expectation is |J|^2 / width, as that of |J^T v|^2 / |v|^2, which is the share of a
  random gradient at z that arrives at layer 1;
- the correlations: the cosine of z for the first input and z for each of the others.

The weights of all networks of a family and a seed are the same up to a factor, so they are drawn once and multiplied.
Each process uses one thread, so that sums have one order, and the file is the same each time on one machine.
"""

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import initbench
from initbench.model import MLP

TARGET = Path(__file__).resolve().parent.parent / "docs" / "_static" / "explorer" / "data.js"
WIDTHS = (64, 256, 1024)
SEEDS = 10
LAYERS = (2, 4, 8, 14, 20, 30, 45, 64)
CORRELATIONS = (0.2, 0.95)
DIRECTIONS = 2


class Erf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(x)


ACTIVATIONS: dict[str, nn.Module] = {
    "relu": nn.ReLU(),
    "gelu": nn.GELU(),
    "silu": nn.SiLU(),
    "selu": nn.SELU(),
    "tanh": nn.Tanh(),
    "erf": Erf(),
    "sigmoid": nn.Sigmoid(),
    "linear": nn.Identity(),
}

# Weights that are the same up to a factor: the initializer that draws them, with its keys.
FAMILIES: dict[str, tuple[str, dict[str, float]]] = {
    "normal": ("mean_field", {"sigma_w": 1, "sigma_b": 1}),
    "uniform": ("xavier_uniform", {}),
    "truncated": ("lecun_normal", {}),
    "default": ("default", {}),
    "orthogonal": ("orthogonal", {"gain": 1}),
    "sinusoidal": ("sinusoidal", {}),
    "identity": ("tanh_fixed_point", {}),
}
INITIALIZERS = {
    "default": "default",
    "xavier_normal": "normal",
    "xavier_uniform": "uniform",
    "kaiming_normal": "normal",
    "kaiming_uniform": "uniform",
    "lecun_normal": "truncated",
    "lecun_uniform": "uniform",
    "mean_field": "normal",
    "orthogonal": "orthogonal",
    "normal": "normal",
    "trunc_normal": "normal",  # its bounds are 100 standard deviations away
    "uniform": "uniform",
    "gamma": "normal",
    "sinusoidal": "sinusoidal",
    "tanh_fixed_point": "identity",
}
# What the sliders are nearest to: sqrt(2) is the edge of chaos of ReLU, sqrt(0.05) the bias of Schoenholz et al. 2017.
GRID_W = (0.5, 0.8, 1.0, 1.2, 1.4142, 1.6, 2.0, 2.5)
GRID_B = (0.0, 0.2236, 0.5, 1.0)

Point = tuple[str, float, float]  # activation, sigma_w, sigma_b


@cache
def sigmas(name: str, activation: str, width: int) -> tuple[float, float] | str:
    """sigma_w and sigma_b of a square layer behind this activation; or why the initializer refuses the network."""
    model = nn.Sequential(nn.Linear(width, width), ACTIVATIONS[activation], nn.Linear(width, width))
    try:
        std = initbench.describe(model, name).set_index("parameter")["std_expected"]
    except ValueError as error:
        return str(error).partition(": ")[2]
    return round(float(std["2.weight"]) * width**0.5, 4), round(float(std["2.bias"]), 4)


def points(family: str, width: int) -> list[Point]:
    """The networks of a family: those of its initializers, and of "normal" those of the grid."""
    names = [name for name, of in INITIALIZERS.items() if of == family]
    found = [(a, *s) for a in ACTIVATIONS for name in names if not isinstance(s := sigmas(name, a, width), str)]
    if family == "normal":
        found += [(a, w, b) for a in ACTIVATIONS for w in GRID_W for b in GRID_B]
    return sorted(set(found), key=lambda point: (list(ACTIVATIONS).index(point[0]), *point[1:]))


def network(family: str, width: int, seed: int) -> MLP:
    name, keys = FAMILIES[family]
    model = MLP(in_features=width, out_features=1, depth=LAYERS[-1], width=width, nonlinearity="linear")
    initbench.initialize(model, name, seed=seed, **keys)
    return model


def simulate(family: str, width: int, seed: int, chosen: list[Point], last: int = LAYERS[-1]) -> np.ndarray:
    """(points, quantities, layers up to `last`): log10 of variance and gradient, and the correlations, of one seed."""
    torch.set_num_threads(1)
    model = network(family, width, seed)
    of_w, of_b = sigmas(FAMILIES[family][0], "linear", width) if family != "normal" else (1.0, 1.0)
    generator = torch.Generator().manual_seed(seed)
    inputs = _inputs(width, generator)
    random = torch.randn(width, DIRECTIONS, dtype=torch.float64, generator=generator)
    scale_w = torch.tensor([w / of_w for _, w, _ in chosen], dtype=torch.float64)[:, None]
    scale_b = torch.tensor([b / of_b if b else 0.0 for _, _, b in chosen], dtype=torch.float64)[:, None]
    found = []
    for layer in range(1, last + 1):
        linear = model.get_submodule(f"linear{layer}")
        weight, bias = linear.weight.detach().double(), linear.bias.detach().double()
        if layer == 1:
            z = (weight @ inputs)[:, None] * scale_w + bias[:, None, None] * scale_b  # units, points, inputs
            v = random[:, None].expand(-1, len(chosen), -1)
        else:
            active, slope = _activate(z, chosen)
            moved = torch.cat([active, slope[..., :1] * v], dim=-1)
            moved = (weight @ moved.flatten(1)).view_as(moved) * scale_w
            z, v = moved[..., : inputs.shape[1]] + bias[:, None, None] * scale_b, moved[..., inputs.shape[1] :]
        if layer in LAYERS:
            found.append(_measure(z, v, random))
    return torch.stack(found, dim=-1).numpy()


def _inputs(width: int, generator: torch.Generator) -> Tensor:
    """Columns of squared norm `width`; the second and later ones have the correlations with the first."""
    raw = torch.randn(width, 1 + len(CORRELATIONS), dtype=torch.float64, generator=generator)
    first = raw[:, :1] / raw[:, :1].norm()
    others = raw[:, 1:] - first * (first.T @ raw[:, 1:])
    cosine = torch.tensor(CORRELATIONS, dtype=torch.float64)
    others = cosine * first + (1 - cosine**2).sqrt() * others / others.norm(dim=0)
    return width**0.5 * torch.cat([first, others], dim=1)


def _activate(z: Tensor, chosen: list[Point]) -> tuple[Tensor, Tensor]:
    """phi(z) and phi'(z); the points of one activation follow each other."""
    names = [name for name, _, _ in chosen]
    sizes = [names.count(name) for name in dict.fromkeys(names)]
    values, slopes = [], []
    for name, part in zip(dict.fromkeys(names), z.split(sizes, dim=1), strict=True):
        part = part.clone().requires_grad_()
        value = ACTIVATIONS[name](part)
        (slope,) = torch.autograd.grad(value.sum(), part)
        values.append(value.detach())
        slopes.append(slope)
    return torch.cat(values, dim=1), torch.cat(slopes, dim=1)


def _measure(z: Tensor, v: Tensor, random: Tensor) -> Tensor:
    variance = z[..., 0].square().mean(0).log10()
    gradient = (v.square().sum(0) / random.square().sum(0)).mean(-1).log10()
    unit = z / z.norm(dim=0)
    return torch.stack([variance, gradient, *(unit[..., :1] * unit[..., 1:]).sum(0).unbind(-1)], dim=-1)


def summary(seeds: np.ndarray) -> list[list[int | None]]:
    """For each point: mean and standard deviation of each quantity, layer by layer; None if not finite.

    The unit is 0.001, and for the means of logarithms 0.01.
    """
    moments = np.stack([seeds.mean(0), seeds.std(0, ddof=1)], axis=2)  # points, quantities, moments, layers
    moments *= 1000
    moments[:, :2, 0] /= 10
    return [[round(float(number)) if np.isfinite(number) else None for number in row.ravel()] for row in moments]


def lines() -> Iterator[str]:
    """data.js, with one line for each simulated network."""
    jobs = [(family, width) for family in FAMILIES for width in WIDTHS]
    of = {job: points(*job) for job in jobs}
    head = {
        "widths": WIDTHS,
        "layers": LAYERS,
        "seeds": SEEDS,
        "correlations": CORRELATIONS,
        "grid": {"sigma_w": GRID_W, "sigma_b": GRID_B},
        "families": INITIALIZERS,
        "sigmas": {n: {a: [sigmas(n, a, w) for w in WIDTHS] for a in ACTIVATIONS} for n in INITIALIZERS},
    }
    yield "// Written by scripts/explorer_data.py, which says what the numbers are."
    yield "const EXPLORER = {"
    for key, value in head.items():
        yield f"{json.dumps(key)}:{_short(value)},"
    yield '"simulations":{'
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        runs = {(*job, seed): pool.submit(simulate, *job, seed, of[job]) for job in jobs for seed in range(SEEDS)}
        for family, width in jobs:
            seeds = np.stack([runs[family, width, seed].result() for seed in range(SEEDS)])
            for (activation, w, b), row in zip(of[family, width], summary(seeds), strict=True):
                yield f"{_short(f'{activation} {family} {width} {w:g} {b:g}')}:{_short(row)},"
    yield "}};"


def _short(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, default=TARGET, help="the file to write")
    target = parser.parse_args().target
    target.write_text("\n".join(lines()) + "\n")


if __name__ == "__main__":
    main()
