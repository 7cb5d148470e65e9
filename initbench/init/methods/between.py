"""Between two initializers: some parts of a model are drawn by one of them, everything else by the other."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from initbench.errors import nearest, unknown
from initbench.init.copying import copy_of
from initbench.init.initializer import Initializer
from initbench.init.memory import storage_of
from initbench.init.roles import bare_name
from initbench.init.scheme import read_option
from initbench.init.structure.named_parts import PARTS, part_of_each
from initbench.init.structure.parts import Parts

# What is behind a parametrized weight has a name of its own: "0.parametrizations.weight.original0" is of "0.weight".
_BEHIND = re.compile(r"parametrizations\.(\w+)\..*")


@torch.no_grad()
def between_(
    model: nn.Module,
    stream: Callable[[str], Generator],
    example: Tensor | None,
    policies: Mapping[str, Any],
    *,
    a: str | dict[str, Any],
    b: str | dict[str, Any],
    parts: list[str],
    from_b: list[str],
) -> dict[str, float]:
    """The parts in `from_b` get the weights that the initializer `b` gives them with the same seed, all others a's.

    `a` and `b` are names, as in init=NAME, or mappings, as {name: gpt2, std: 0.01}. Policies and rules of the config
    apply to both, unless their files set them. With from_b=[] the weights are those of `a`; with all parts they are
    those of `b`, if `parts` names every part in which the two differ. The record says in `parts_left_to_a` how many
    of these it does not name.

    The names of parts are in `initbench.init.structure.named_parts`. A layer is in one part, with its bias.

    Raises ValueError for a part that the model lacks, or that both initializers draw alike; for one in `from_b` that is
    not in `parts`; for a model whose parts cannot be told apart; and for an initializer that needs data, scales
    learning rates, or sets a buffer that the other one sets to something else.

    Source: none; each parameter has its own random stream, so weights of both can be combined.
    Acts on: every parameter.
    """
    drawn_a, drawn_b = (_drawn(key, spec, model, stream, example, policies) for key, spec in (("a", a), ("b", b)))
    owners, values_a, values_b = _owners(model, example), _tensors(drawn_a), _tensors(drawn_b)
    differing = {owners[name] for name, value in values_b.items() if not torch.equal(value, values_a[name])}
    if None in differing:
        name = next(
            name for name, of in owners.items() if of is None and not torch.equal(values_a[name], values_b[name])
        )
        raise ValueError(f"a and b of between set the buffer {name} to different values, and it belongs to no part")
    _check(parts, from_b, {*owners.values()}, differing, type(model).__name__)
    for name, tensor in _tensors(model).items():
        tensor.copy_((values_b if owners[name] in from_b else values_a)[name])
    return {"parts_left_to_a": len(differing - {*parts})}


def _drawn(
    key: str,
    spec: str | dict[str, Any],
    model: nn.Module,
    stream: Callable[[str], Generator],
    example: Tensor | None,
    policies: Mapping[str, Any],
) -> nn.Module:
    """A copy of the model as one of the two initializers fills it."""
    if spec == "???":  # as the option has it
        raise ValueError(f"{key} has no value yet: give the name of an initializer, such as {key}=gpt2")
    given = {"name": spec} if isinstance(spec, str) else spec
    option = read_option(str(given["name"])) if "name" in given and "_target_" not in given else {}
    chosen = Initializer.from_config({**policies, **option, **given})
    name = given.get("name") or given.get("_target_")
    if chosen.needs_batch:
        raise ValueError(f"{key}={name} needs data, which between does not give it: choose one that needs none")
    if chosen.scales_optimizer:
        raise ValueError(f"{key}={name} scales learning rates too, and between combines weights alone: choose another")
    copied = copy_of(model, "between works on")
    chosen.draw(copied, stream, example=example)
    return copied


def _owners(model: nn.Module, example: Tensor | None) -> dict[str, str | None]:
    """The part of each parameter, and of each buffer behind a parametrization, by its name; None for other buffers."""
    of_names = part_of_each(Parts(model, example))
    of_memory: dict[object, str | None] = {}  # parameters that share memory have the part of the first
    return {
        name: of_memory.setdefault(storage_of(tensor), of_names.get(_BEHIND.sub(r"\1", bare_name(model, name))))
        for name, tensor in _tensors(model).items()
    }


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def _check(
    parts: Sequence[str],
    from_b: Sequence[str],
    present: Collection[str | None],
    differing: Collection[str | None],
    kind: str,
) -> None:
    """Raise ValueError for names of parts that make no sense.

    present: the parts of the model, whose class is `kind`; differing: those in which the two initializers differ.
    """
    there = [part for part in PARTS if part in present]
    has = f"{kind} has {', '.join(there)}"
    if not parts:
        raise ValueError(f"parts must name at least one part. {has}")
    for part in parts:
        if part not in PARTS:
            raise unknown("part", part, there)
        if part not in there:
            raise ValueError(f"the model has no part {part!r}. {has}")
        if parts.count(part) > 1:
            raise ValueError(f"parts has {part!r} twice")
        if part not in differing:
            others = ", ".join(each for each in there if each in differing) or "nothing"
            raise ValueError(f"a and b draw {part!r} alike, so it can make no difference. They differ in {others}")
    for part in from_b:
        if part not in parts:
            allowed = ", ".join(parts)
            raise ValueError(
                f"from_b may only have parts of `parts`, got {part!r}.{nearest(part, parts)} Allowed: {allowed}"
            )
