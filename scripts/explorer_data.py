"""Simulate the networks that the explorer (docs/explorer.md) shows beside the theory; minutes on two cores.

    python scripts/explorer_data.py

Writes docs/_static/explorer/data.js. Every network has 64 layers, with as many inputs as units, and gets three inputs x
of norm |x|^2 = width: one, and two others that have fixed correlations with it. Measured in the layers `LAYERS`, where
z are the pre-activations of one layer:

- the variance: the mean of z^2 over the units, for the first input;
- the gradient: the mean of |J v|^2 / |v|^2 over random directions v, where J is the Jacobian of z with respect to the
  pre-activations of layer 1. Its expectation is |J|^2 / width, as that of |J^T v|^2 / |v|^2, which is the share of a
  random gradient at z that arrives at layer 1;
- the correlations: the cosine of z for the first input and z for each of the others.

What an initializer does to a layer is planned by initbench, and its numbers are drawn by initbench. Networks whose
weights are the same up to a factor are computed at once, so the weights of each layer are drawn once for all of them.
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
from initbench.init.initializer import initializer
from initbench.init.schemes.variance import draw_
from initbench.init.table import scheme_std

TARGET = Path(__file__).resolve().parent.parent / "docs" / "_static" / "explorer" / "data.js"
WIDTHS = (64, 256, 1024)
SEEDS = {64: 10, 256: 10, 1024: 5}
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

# The distribution that each initializer draws from.
INITIALIZERS = {
    "default": "uniform",
    "xavier_normal": "normal",
    "xavier_uniform": "uniform",
    "kaiming_normal": "normal",
    "kaiming_uniform": "uniform",
    "lecun_normal": "truncated_normal",
    "lecun_uniform": "uniform",
    "mean_field": "normal",
    "orthogonal": "orthogonal",
    "normal": "normal",
    "trunc_normal": "normal",  # its bounds are 100 standard deviations away
    "uniform": "uniform",
    "gamma": "normal",
    "sinusoidal": "sinusoidal",
    "tanh_fixed_point": "tanh_fixed_point",
}
FAMILIES = tuple(dict.fromkeys(INITIALIZERS.values()))
AS_THEY_ARE = ("sinusoidal", "tanh_fixed_point")  # weights that no factor multiplies
# What the sliders are nearest to: sqrt(2) is the edge of chaos of ReLU, sqrt(0.05) the bias of Schoenholz et al. 2017.
GRID_W = (0.5, 0.8, 1.0, 1.2, 1.4142, 1.6, 2.0, 2.5)
GRID_B = (0.0, 0.2236, 0.5, 1.0)

Point = tuple[str, float, float]  # activation, sigma_w, sigma_b


@cache
def sigmas(name: str, width: int) -> dict[str, tuple[float, float] | str]:
    """By activation, sigma_w and sigma_b of a square layer behind it; or why the initializer refuses the network."""
    found: dict[str, tuple[float, float] | str] = {}
    for activation, module in ACTIVATIONS.items():
        model = nn.Sequential(nn.Linear(width, width), module, nn.Linear(width, width))
        try:
            plan = {a.layer.name: scheme_std(a) for a in initializer(name).plan(model)}
        except ValueError as error:
            found[activation] = str(error).partition(": ")[2]
        else:
            found[activation] = round(plan["2.weight"] * width**0.5, 4), round(plan["2.bias"], 4)
    return found


def points(family: str, width: int) -> list[Point]:
    """The networks of a family: those of its initializers, and of "normal" those of the grid."""
    names = [name for name, of in INITIALIZERS.items() if of == family]
    found = [(a, *s) for name in names for a, s in sigmas(name, width).items() if not isinstance(s, str)]
    if family == "normal":
        found += [(a, w, b) for a in ACTIVATIONS for w in GRID_W for b in GRID_B]
    return sorted(set(found), key=lambda point: (list(ACTIVATIONS).index(point[0]), *point[1:]))


def layer_of(family: str, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights and biases of one layer, of standard deviation 1 / sqrt(width) and 1 unless they are as they are."""
    weight, bias = torch.zeros(width, width), torch.zeros(width)
    if family in AS_THEY_ARE:
        linear = nn.utils.skip_init(nn.Linear, width, width)
        seed = int(torch.randint(2**31, (), generator=generator))
        weight = initbench.initialize(linear, family, seed=seed).weight.detach()
    elif family == "orthogonal":
        nn.init.orthogonal_(weight, generator=generator)
    else:
        draw_(weight, generator, width**-0.5, family)
        draw_(bias, generator, 1.0, family)
    return weight.double(), bias.double()


def simulate(family: str, width: int, seed: int, chosen: list[Point], last: int = LAYERS[-1]) -> np.ndarray:
    """(points, quantities, layers up to `last`): log10 of variance and gradient, and the correlations, of one seed."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    inputs = _inputs(width, generator)
    random = torch.randn(width, DIRECTIONS, dtype=torch.float64, generator=generator)
    sigma_w = torch.tensor([1.0 if family in AS_THEY_ARE else w for _, w, _ in chosen], dtype=torch.float64)[:, None]
    sigma_b = torch.tensor([b for _, _, b in chosen], dtype=torch.float64)[:, None]
    found = []
    for layer in range(1, last + 1):
        weight, bias = layer_of(family, width, generator)
        if layer == 1:
            z = (weight @ inputs)[:, None] * sigma_w + bias[:, None, None] * sigma_b  # units, points, inputs
            v = random[:, None].expand(-1, len(chosen), -1)
        else:
            active, slope = _activate(z, chosen)
            moved = torch.cat([active, slope[..., :1] * v], dim=-1)
            moved = (weight @ moved.flatten(1)).view_as(moved) * sigma_w
            z, v = moved[..., : inputs.shape[1]] + bias[:, None, None] * sigma_b, moved[..., inputs.shape[1] :]
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


def lines(processes: int | None = None) -> Iterator[str]:
    """data.js, with one line for each simulated network."""
    jobs = [(family, width) for family in FAMILIES for width in WIDTHS]
    head = {
        "widths": WIDTHS,
        "layers": LAYERS,
        "seeds": list(SEEDS.values()),
        "correlations": CORRELATIONS,
        "grid": {"sigma_w": GRID_W, "sigma_b": GRID_B},
        "families": INITIALIZERS,
        "sigmas": {name: [sigmas(name, width) for width in WIDTHS] for name in INITIALIZERS},
    }
    yield "// Written by scripts/explorer_data.py, which says what the numbers are."
    yield "const EXPLORER = {"
    for key, value in head.items():
        yield f"{json.dumps(key)}:{_short(value)},"
    yield '"simulations":{'
    with ProcessPoolExecutor(processes) as pool:
        seeds = {
            job: [pool.submit(simulate, *job, seed, points(*job)) for seed in range(SEEDS[job[1]])] for job in jobs
        }
        for family, width in jobs:
            rows = summary(np.stack([seed.result() for seed in seeds[family, width]]))
            for (activation, w, b), row in zip(points(family, width), rows, strict=True):
                yield f"{_short(f'{activation} {family} {width} {w:g} {b:g}')}:{_short(row)},"
    yield "}};"


def _short(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, default=TARGET, help="the file to write")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many seeds at a time")
    arguments = parser.parse_args()
    arguments.target.write_text("\n".join(lines(arguments.processes)) + "\n")


if __name__ == "__main__":
    main()
