"""Which recipe of conf/init a model follows, role by role, and where it departs from it."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from initbench.auditing.subject import Subject
from initbench.init import initialize
from initbench.init.copying import copy_of
from initbench.init.roles import MATRICES, walk
from initbench.init.structure.parts import Parts

# Recipes without numbers of one's own, which need no batch.
RECIPES = (
    "default",
    "kaiming_normal",
    "kaiming_uniform",
    "xavier_normal",
    "xavier_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "gpt2",
    "megatron",
    "llama_depth",
    "llama_depth_fixed",
    "mitchell",
    "small_init",
    "wang",
    "nanochat",
    "bert",
    "vit",
    "vit_jax",
    "convnext",
    "efficientnet",
    "dcgan",
)
_NEAR = 0.05  # relative, and four standard errors of the root mean square
_MANY = 1000  # elements, from which on a distribution can be told


@dataclass(frozen=True)
class Departure:
    """own, theirs: in words, what the parameters of a role are, and what the recipe would make of them."""

    role: str
    own: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.role}: {self.own}, not {self.theirs}"


@dataclass(frozen=True)
class Fingerprint:
    """followed: how many of the parameters with more than one value are as the recipe makes them."""

    recipe: str
    followed: int
    parameters: int
    departures: list[Departure]

    def __str__(self) -> str:
        head = f"{self.recipe} in {self.followed} of {self.parameters} parameters"
        return "; ".join([head, *map(str, self.departures)])


@dataclass(frozen=True)
class _Look:
    """How a tensor looks: all of a model's weights are compared by this."""

    rms: float
    kind: str
    numel: int

    def is_like(self, other: "_Look") -> bool:
        near = _NEAR if self.kind == "constant" else max(_NEAR, 4 / math.sqrt(2 * self.numel))
        same_kind = self.kind == other.kind or min(self.numel, other.numel) < _MANY
        return same_kind and math.isclose(self.rms, other.rms, rel_tol=near, abs_tol=1e-12)


def fingerprints(subject: Subject) -> list[Fingerprint]:
    """The recipes that can be applied to the model, the one that it follows most first."""
    own, roles = _looks(subject.model), _roles(subject)
    found = []
    for recipe in RECIPES:
        copy = copy_of(subject.model, "an audit works on")
        try:
            initialize(copy, recipe, seed=0)
        except ValueError:  # the model lacks what it acts on
            continue
        theirs = _looks(copy)
        like = {name for name in own if own[name].is_like(theirs[name])}
        departures = list(_departures([name for name in own if name not in like], roles, own, theirs))
        found.append(Fingerprint(recipe, len(like), len(own), departures))
    return sorted(found, key=lambda each: (-each.followed, RECIPES.index(each.recipe)))


def _departures(
    names: list[str], roles: dict[str, str], own: dict[str, _Look], theirs: dict[str, _Look]
) -> Iterator[Departure]:
    of_roles = defaultdict(list)
    for name in names:
        of_roles[roles[name]].append(name)
    for role, some in of_roles.items():
        yield Departure(role, *(_words([looks[name] for name in some]) for looks in (own, theirs)))


def _words(looks: list[_Look]) -> str:
    kinds = {look.kind for look in looks}
    return f"{kinds.pop() if len(kinds) == 1 else 'mixed'} {median(look.rms for look in looks):.2g}"


@torch.no_grad()
def _looks(model: nn.Module) -> dict[str, _Look]:
    return {found.name: _look(found.tensor.detach().float()) for found in walk(model) if found.tensor.numel() > 1}


def _look(tensor: Tensor) -> _Look:
    rms, numel = float(tensor.square().mean().sqrt()), tensor.numel()
    if bool((tensor == tensor.flatten()[0]).all()):
        return _Look(rms, "constant", numel)
    # The largest of a uniform distribution is sqrt(3) times the rms; a normal one that is cut at two has 2.3.
    is_uniform = float(tensor.abs().max()) < 1.8 * rms
    return _Look(rms, "uniform" if is_uniform else "normal", numel)


def _roles(subject: Subject) -> dict[str, str]:
    """What each parameter is for."""
    parts: Parts = subject.parts
    roles = {found.name: found.role.replace("_", " ") for found in subject.parameters}
    matrices = [found.name for found in parts.matrices if found.role in MATRICES]
    if matrices:
        roles[matrices[-1]] = "head"
    try:
        purposes = defaultdict(set)
        for each in parts.branch_matrices:
            purposes[each.projection.name].add(each.purpose)
        roles |= {
            name: "qkv" if "query" in some and len(some) > 1 else "/".join(sorted(some))
            for name, some in purposes.items()
        }
    except ValueError:  # the branches are not known
        pass
    roles |= {found.name: "position" for found in parts.positions}
    return {name: "token embedding" if role == "embedding" else role for name, role in roles.items()}
