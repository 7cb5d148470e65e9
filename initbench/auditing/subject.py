"""What an audit looks at: a model, and, where it can be made again, its twins under other conditions."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

import torch
from torch import Tensor, nn

from initbench import generators
from initbench.auditing.writes import Writes
from initbench.init.memory import check_memory, storage_of
from initbench.init.roles import NamedParameter, unwrap, walk
from initbench.init.structure.parts import Parts
from initbench.schema.target import line

Make = Callable[[], nn.Module]


class Subject:
    """A model or a function that makes it.

    batch: what the model takes, a tensor or a tuple of inputs and targets; without it inputs are guessed.
    Raises ValueError if there is no model.
    """

    def __init__(self, of: nn.Module | Make, batch: Tensor | tuple[Tensor, Tensor] | None = None) -> None:
        self.make = None if isinstance(of, nn.Module) else of
        self.writes = Writes()  # none are known of a model that was made before
        if isinstance(of, nn.Module):
            self.model = unwrap(of)
        else:
            with self.writes:
                self.model = unwrap(made(of, seed=0))
        self.inputs = batch[0] if isinstance(batch, tuple | list) else batch
        self.targets = batch[1] if isinstance(batch, tuple | list) else None
        for name, parameter in self.model.named_parameters():
            check_memory(name, parameter)

    @cached_property
    def parameters(self) -> list[NamedParameter]:
        """All parameters of the model, each once."""
        return list(walk(self.model))

    @cached_property
    def parts(self) -> Parts:
        return Parts(self.model, self.inputs)

    @cached_property
    def reseeded(self) -> nn.Module | None:
        """The model made with another seed; None if all that there is is a model."""
        return None if self.make is None else unwrap(made(self.make, seed=1))

    @cached_property
    def poisoned(self) -> nn.Module | None:
        """The model made where memory that nobody has written is NaN, or the largest integer."""
        if self.make is None:
            return None
        with poisoned_memory():
            return unwrap(made(self.make, seed=0))


def made(make: Make, seed: int) -> nn.Module:
    """What a function makes under a seed; the global generators stay as they are.

    Raises ValueError for a function that fails or makes something else.
    """
    before = generators.states()
    generators.seed_all(seed)
    name = getattr(make, "__name__", type(make).__name__)
    try:
        model = make()
    except Exception as error:  # it is the user's, and may raise anything
        raise ValueError(f"{name}() makes no model: {type(error).__name__}: {line(error)}") from error
    finally:
        generators.restore(before)
    if not isinstance(model, nn.Module):
        raise ValueError(f"{name}() must make a torch.nn.Module, and made a {type(model).__name__}")
    return model


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """A context in which torch.empty and its like are full of NaN, or of the largest integer."""
    mode = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]  # set on the module
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]  # as above
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
            yield
    finally:
        torch.use_deterministic_algorithms(mode[0], warn_only=mode[1])
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]  # as above


def tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and the buffers that a state_dict keeps, each storage under its first name."""
    kept = {*model.state_dict(keep_vars=True)}
    seen: set[object] = set()
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name in kept and (storage := storage_of(tensor)) not in seen:
            seen.add(storage)
            yield name, tensor.detach()
