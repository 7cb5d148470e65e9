"""What an audit looks at: a model, and, where it can be made again, its twins under other conditions."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from initbench import generators
from initbench.auditing.finding import Finding
from initbench.auditing.looks import Look, looks
from initbench.auditing.writes import Writes
from initbench.init.failures import explain
from initbench.init.memory import check_memory, storage_of
from initbench.init.method import working_copy
from initbench.init.roles import NamedParameter, unwrap, walk
from initbench.init.structure.example import like
from initbench.init.structure.parts import Parts
from initbench.schema.target import line

Make = Callable[[], nn.Module]


class Subject:
    """A model or a function that makes it.

    batch: what the model takes, a tensor or a pair of inputs and targets; without it inputs are guessed. Raises
    ValueError if there is no model, and for a model that cannot be run on the batch.
    """

    def __init__(self, of: nn.Module | Make, batch: Tensor | tuple[Tensor, Tensor] | None = None) -> None:
        self.make = None if isinstance(of, nn.Module) else of
        self.only_once = ""  # why it cannot be made again, once that was tried
        self.writes = Writes()  # none are known of a model that was made before
        if isinstance(of, nn.Module):
            self.model = unwrap(of)
        else:
            with self.writes:
                self.model = unwrap(made(of, seed=0))
        self.inputs, self.targets = _parts_of(batch)
        if not any(True for _ in self.model.parameters()):
            raise ValueError(f"{type(self.model).__name__} has no parameters")
        for name, parameter in self.model.named_parameters():
            check_memory(name, parameter)
        if self.inputs is not None:
            _check_inputs(self.model, self.inputs)

    @cached_property
    def parameters(self) -> list[NamedParameter]:
        """All parameters of the model, each once."""
        return list(walk(self.model))

    @cached_property
    def looks(self) -> dict[str, Look]:
        """How all parameters with more than one element look."""
        return looks(self.model)

    @cached_property
    def parts(self) -> Parts:
        """What the layers of the model are for."""
        return Parts(self.model, self.inputs)

    def remade(self, seed: int = 0) -> nn.Module | None:
        """The model made again; None if all that there is is a model, or if it can be made only once."""
        if self.make is None or self.only_once:
            return None
        try:
            again = unwrap(made(self.make, seed))
        except ValueError as error:
            self.only_once = str(error)
            return None
        self.only_once = "the function returns the same model each time" if again is self.model else ""
        if not self.only_once and not _memory(again).isdisjoint(_memory(self.model)):
            self.only_once = "parts of it are the same each time"
        return None if self.only_once else again


class Check(Protocol):
    """A function that tells what it finds."""

    __name__: str

    def __call__(self, subject: Subject, /) -> Iterator[Finding]: ...


def made(make: Make, seed: int) -> nn.Module:
    """What a function makes under a seed; the global generators stay as they are.

    Raises ValueError for a function that fails or makes something else.
    """
    before = generators.states()
    generators.seed_all(seed)
    name = getattr(make, "__name__", type(make).__name__)
    try:
        model = make()
    except (Exception, SystemExit) as error:  # it is the user's, and may raise anything
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
            # It is torch's reminder of the setting above, not of anything in the model.
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


def _memory(model: nn.Module) -> set[object]:
    return {storage_of(tensor) for tensor in (*model.parameters(), *model.buffers())}


def _parts_of(batch: object) -> tuple[Tensor | None, Tensor | None]:
    """The inputs and the targets of a batch."""
    if batch is None or isinstance(batch, Tensor):
        return batch, None
    parts = list(batch) if isinstance(batch, tuple | list) else []
    if len(parts) not in (1, 2) or not all(isinstance(part, Tensor) for part in parts):
        kinds = f" of {', '.join(type(part).__name__ for part in parts)}" if parts else ""
        raise ValueError(
            f"a batch must be a tensor of inputs, or (inputs, targets), got a {type(batch).__name__}{kinds}"
        )
    return parts[0], parts[1] if len(parts) == 2 else None


def _check_inputs(model: nn.Module, inputs: Tensor) -> None:
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    copy = working_copy(model, device, "an audit")
    try:
        with torch.no_grad():
            copy(*like(inputs, model))
    except Exception as error:  # the layers of a model may raise anything
        raise explain(error, "an audit", {"inputs": tuple(inputs.shape)}, copy) from error
