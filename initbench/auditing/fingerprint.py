"""Which recipe of conf/init a model follows, role by role, and where it departs from it."""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from initbench.auditing.looks import Look, looks
from initbench.auditing.subject import Subject
from initbench.init import initialize
from initbench.init.copying import copy_of
from initbench.init.roles import MATRICES
from initbench.wording import count

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
    """How far a model follows a recipe, an initializer of conf/init.

    followed: how many of the parameters with more than one element are as the recipe makes them. parameters: how many
    of these there are. departures: one for each role in which the model departs from the recipe.
    """

    recipe: str
    followed: int
    parameters: int
    departures: list[Departure]

    def __str__(self) -> str:
        head = f"{self.recipe} in {self.followed} of {count(self.parameters, 'parameter')}"
        return "; ".join([head, *map(str, self.departures)])


def fingerprint(subject: Subject, recipe: str) -> Fingerprint | None:
    """How far the model follows a recipe; None if the recipe cannot be applied to it."""
    copy = copy_of(subject.model, "an audit works on")
    try:
        with warnings.catch_warnings(action="ignore"):  # of gains that are assumed
            initialize(copy, recipe, seed=0)
    except ValueError:  # the model lacks what it acts on
        return None
    own, theirs = subject.looks, looks(copy)
    others = [name for name in own if not own[name].is_like(theirs[name])]
    departures = list(_departures(others, _roles(subject), own, theirs))
    return Fingerprint(recipe, len(own) - len(others), len(own), departures)


def nearest(found: Iterable[Fingerprint | None]) -> Fingerprint | None:
    """The recipe that a model follows most; the first of several."""
    known = [each for each in found if each is not None]
    return max(known, key=lambda each: each.followed, default=None)


def _departures(
    names: list[str], roles: Mapping[str, str], own: Mapping[str, Look], theirs: Mapping[str, Look]
) -> Iterator[Departure]:
    of_roles = defaultdict(list)
    for name in names:
        of_roles[roles[name]].append(name)
    for role, some in of_roles.items():
        yield Departure(role, *(_words([of[name] for name in some]) for of in (own, theirs)))


def _words(some: list[Look]) -> str:
    kinds = {look.kind for look in some}
    return f"{kinds.pop() if len(kinds) == 1 else 'mixed'} {median(look.rms for look in some):.2g}"


def _roles(subject: Subject) -> dict[str, str]:
    """What each parameter is for."""
    parts = subject.parts
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
