"""Random numbers that are not what they seem: parameters that no seed changes, and two that are one draw."""

from collections import defaultdict
from collections.abc import Iterator

from torch import Tensor, nn

from initbench.auditing.finding import Finding
from initbench.auditing.looks import plain
from initbench.auditing.subject import Subject

LEAST = 16  # elements: two smaller tensors may be equal by chance, or by a simple rule


def made_once(subject: Subject) -> Iterator[Finding]:
    """A function that cannot make the model again, so that much cannot be told."""
    if subject.only_once:
        reason = f"it cannot be made a second time: {subject.only_once}"
        yield Finding("note", "made only once", "", reason, "make a new model at each call, and more can be checked")


def deaf_to_the_seed(subject: Subject) -> Iterator[Finding]:
    """Parameters that are equal under two seeds though they look random."""
    if (reseeded := subject.remade(seed=1)) is None:
        return
    others = dict(reseeded.named_parameters())
    for name, tensor in subject.model.named_parameters():
        if _is_random(tensor) and name in others and tensor.equal(others[name]):
            yield Finding(
                "warning",
                "no seed changes it",
                name,
                "it is the same under two seeds, and not constant",
                "draw it from torch's global generator after the seed is set; if it is loaded or computed, all is well",
            )


def one_draw(subject: Subject) -> Iterator[Finding]:
    """Matrices that start as copies of another one, as those of layers copied by copy.deepcopy do.

    Frozen ones, such as those of a target network, are meant to.
    """
    alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for found in subject.parameters:
        if found.tensor.dim() > 1 and found.tensor.requires_grad and _is_random(found.tensor):
            few = tuple(_some(found.tensor).tolist())
            alike[(*found.tensor.shape, *few)].append(found.name)
    by_name = {found.name: found.tensor for found in subject.parameters}
    for first, *others in alike.values():
        for name in others:
            if by_name[name].equal(by_name[first]):
                yield Finding(
                    "warning",
                    "one draw for two",
                    name,
                    f"it starts as a copy of {first}",
                    "make the layers one by one, or call reset_parameters() on each copy",
                )


def _is_random(tensor: Tensor | nn.Parameter) -> bool:
    """Whether a tensor has many values: a constant, an identity or a grid of few is no draw."""
    return tensor.numel() >= LEAST and len(_some(tensor).unique()) > LEAST // 2


def _some(tensor: Tensor) -> Tensor:
    """Elements from all over a tensor: the first row of an embedding may be zero, for padding."""
    values = plain(tensor).flatten()
    return values[:: max(1, len(values) // (4 * LEAST))]
