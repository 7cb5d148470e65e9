"""A LightningModule of the user's own, which brings its model, loss and optimizer."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from initbench.metric import logged_metric
from initbench.schema import target

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule, LightningModule


class LightningTask:
    """What a module of the user's own learns: `task=lightning task.module._target_=mine.Module task.score=val/loss`.

    module, datamodule: a mapping with `_target_`, a class or a function that makes a LightningModule or a
    LightningDataModule, and its arguments. A mapping among these with a `_target_` of its own is called first; with
    `_partial_: true`, it is a function with some of its arguments given. Without `datamodule._target_`, the module has
    its own dataloaders.

    score: the name under which the module logs, in validation, what runs are judged by. higher_is_better: whether high
    values are good; needed unless the name says that it is a loss. unit, chance: as in `initbench.verdict`. targets:
    values of the score; the time to reach each is measured.

    loss, batch_of: dotted names of functions for initializers that need data: the loss of outputs and targets, null for
    cross-entropy, and what turns a batch of the module into inputs and targets, null for one that begins with them.

    Raises ValueError for a score, unit or chance that makes no sense.
    """

    def __init__(
        self,
        *,
        module: dict[str, Any],
        datamodule: dict[str, Any] | None = None,
        score: str,
        higher_is_better: bool | None = None,
        unit: str = "",
        chance: float | None = None,
        targets: Sequence[float] = (),
        loss: str | None = None,
        batch_of: str | None = None,
    ) -> None:
        if higher_is_better is None:
            if "loss" not in score.lower():
                raise ValueError(f"task.higher_is_better is missing: is a high {score} good? true or false")
            higher_is_better = False
        self._module, self._datamodule = module, datamodule or {}
        self.metric = logged_metric(score, higher_is_better, unit, chance)
        self.metric.check_targets(targets, "task.targets")
        self.targets = targets
        self.for_initializers = {
            key: target.load(f"task.{key}", name) for key, name in (("loss", loss), ("batch_of", batch_of)) if name
        }

    def check(self) -> None:
        """Raise ValueError for a `_target_` that cannot be imported, or that does not take its arguments."""
        _check("task.module", self._module)
        if self._has_datamodule:
            _check("task.datamodule", self._datamodule)

    def build(self) -> "tuple[LightningModule, LightningDataModule | None]":
        """The module, and its data unless it has them itself.

        Raises ValueError for what cannot be built, for what is neither, and for a module that cannot be trained or
        judged: without training_step, validation_step or configure_optimizers, or without data for these.
        """
        from lightning.pytorch import LightningDataModule, LightningModule
        from lightning.pytorch.utilities.model_helpers import is_overridden

        module = _made("task.module", self._module)
        _check_kind("task.module", module, LightningModule)
        data = _made("task.datamodule", self._datamodule) if self._has_datamodule else None
        if data is not None:
            _check_kind("task.datamodule", data, LightningDataModule)
        name = type(module).__name__
        for hook in ("training_step", "validation_step", "configure_optimizers"):
            if not is_overridden(hook, module):
                why = f", where it has to log {self.metric.label}" if hook == "validation_step" else ""
                raise ValueError(f"task.module: {name} has no {hook}{why}")
        for loader in ("train_dataloader", "val_dataloader"):
            there = module if data is None else data
            if not is_overridden(loader, there) and not is_overridden(loader, module):
                remedy = "" if data is not None else "; set task.datamodule._target_, or give the module one"
                raise ValueError(
                    f"task.{'module' if data is None else 'datamodule'}: {type(there).__name__} has no {loader}{remedy}"
                )
        return module, data

    @property
    def _has_datamodule(self) -> bool:
        return self._datamodule.get("_target_") is not None


def _made(what: str, node: Any) -> Any:
    """What a node of a config stands for, with all that is nested in it."""
    if isinstance(node, list):
        return [_made(what, value) for value in node]
    if not isinstance(node, Mapping):
        return node
    made = {key: _made(f"{what}.{key}", value) for key, value in node.items() if key != "_target_"}
    if "_target_" not in node:
        return made
    if made.pop("_partial_", False):
        return partial(target.load(what, node["_target_"]), **made)
    return target.call_with(what, node["_target_"], made)


def _check(what: str, node: Any) -> None:
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        _check(f"{what}.{key}", value)
    if "_target_" in node:
        function = target.load(what, node["_target_"])
        plain = {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}
        if not node.get("_partial_") and not any(_is_nested(value) for value in plain.values()):
            target.check(function, plain, f"{what}.{{}}")


def _is_nested(value: Any) -> bool:
    """Whether a value of a config stands for an object."""
    if isinstance(value, Mapping):
        return "_target_" in value or any(map(_is_nested, value.values()))
    return isinstance(value, list) and any(map(_is_nested, value))


def _check_kind(what: str, made: object, kind: type) -> None:
    if isinstance(made, kind):
        return
    other = next((base for base in type(made).__mro__ if base.__name__ == kind.__name__), None)
    which = f" of the package {other.__module__.partition('.')[0]}" if other else ""
    raise ValueError(f"{what} made a {type(made).__name__}{which}, which is no lightning.pytorch.{kind.__name__}")
