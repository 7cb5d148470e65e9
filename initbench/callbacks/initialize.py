"""Applies an initializer to any LightningModule, as a callback of any Trainer."""

import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from lightning.pytorch.utilities import CombinedLoader
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.errors import UserMistake
from initbench.generators import seed_all
from initbench.init import initializer, rows, weights_digest
from initbench.init.method import Loss, as_batch
from initbench.init.outcome import Outcome
from initbench.init.scheme import Spec
from initbench.record.plain import Record, Row
from initbench.wording import count

_SAVED = ("table", "numbers", "weights", "seconds")


class Initialize(L.Callback):
    """`Trainer(callbacks=[Initialize("orthogonal", seed=0, gain=1)])`: the module is initialized when the fit starts.

    `init`, `loss` and `overrides` are as in `initbench.initialize`; parameters have the names that the LightningModule
    gives them. The same seed gives the same weights on every device and in every process. Values are replaced
    in place, so optimizers keep their parameters. A fit that resumes from a checkpoint keeps the checkpoint's weights,
    and a second fit of the same module those of the first.

    Initializers that need data get the first batch that the module's own training data has for `seed`, the same for
    every initializer; global generators are left as they were. `batch_of` turns it into the inputs, or
    into inputs and targets; it is not needed if the batch is a tensor, or a list or tuple that begins with two of them.
    What such an initializer computes in the first process is sent to all others.

    Attributes:
        table: once the fit has started, a dict for each parameter that says what was done to it.
        numbers: what the initializer says of its cost and success.
        weights: a digest of the initial weights.
        seconds: how long it took.

    The learning rates that belong to mup, fixup and others are for the module's `configure_optimizers`, which
    gets them from `initbench.learning_rates`; factors for eps and weight decay are in `initbench.optimizer_factors`.

    Raises ValueError as `initbench.initialize` does, and, when the fit starts, for a batch that is none of these, and
    for an optimizer without the learning rates, eps or weight decay that belong to the initializer.
    """

    def __init__(
        self,
        init: Spec,
        *,
        seed: int = 0,
        loss: Loss = F.cross_entropy,
        batch_of: Callable[[Any], Tensor | tuple[Tensor, Tensor]] | None = None,
        **overrides: Any,
    ) -> None:
        self._initializer = initializer(init, **overrides)
        self.init, self.overrides, self.seed = init, overrides, seed
        self._loss, self._batch_of = loss, batch_of
        self._initialized: weakref.ref[L.LightningModule] | None = None
        self.table: list[Row] = []
        self.numbers: dict[str, float] = {}
        self.weights = ""
        self.seconds = 0.0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        is_known = self._initialized is not None and self._initialized() is pl_module
        if is_known or trainer.ckpt_path is not None:
            return
        started = time.perf_counter()
        try:
            outcome = self._apply(trainer, pl_module)
        except ValueError as error:  # a method that this module, its batch or its weights defeat
            raise UserMistake(str(error)) from error
        self._initialized = weakref.ref(pl_module)
        self.seconds = time.perf_counter() - started
        self.table, self.numbers, self.weights = rows(outcome), outcome.numbers, weights_digest(pl_module)

    def fields(self) -> Record:
        """What the record says about how the fit was initialized."""
        return {"init_numbers": self.numbers, "initial_weights": self.weights}

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _SAVED}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)

    def _apply(self, trainer: L.Trainer, pl_module: L.LightningModule) -> Outcome:
        self._check_factors(trainer, pl_module)
        batch = self._batch(trainer, pl_module) if self._initializer.needs_batch else None
        example = pl_module.example_input_array
        outcome = self._initializer.apply(
            pl_module,
            seed=self.seed,
            batch=as_batch(batch),
            loss=self._loss,
            example=example if isinstance(example, Tensor) else None,
        )
        if batch is not None and trainer.world_size > 1:
            for parameter in pl_module.parameters():
                torch.distributed.broadcast(parameter.data, src=0)
        return outcome

    def _check_factors(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise ValueError where the initializer scales a setting and the optimizers have a single value of it."""
        optimizers = trainer.optimizers
        adaptive = not all(isinstance(optimizer, torch.optim.SGD) for optimizer in optimizers)
        factors = self._initializer.optimizer_factors(pl_module, adaptive=adaptive)
        groups = [group for one in optimizers for group in one.param_groups]
        for setting, words in {"lr": "learning rates", "eps": "eps", "weight_decay": "weight decay"}.items():
            scaled = [name for name, factor in factors.items() if getattr(factor, setting) != 1]
            values = {group.get(f"initial_{setting}", group.get(setting, 0.0)) for group in groups}
            if scaled and len(values) == 1 and values != {0.0}:
                function = "learning_rates" if setting == "lr" else "optimizer_factors"
                raise ValueError(
                    f"{self._label} scales the {words} of {count(len(scaled), 'parameter')}, and "
                    f"{type(pl_module).__name__}.configure_optimizers gives all of them the same: "
                    f"initbench.{function} has the factors"
                )

    def _batch(self, trainer: L.Trainer, pl_module: L.LightningModule) -> Tensor | tuple[Tensor, Tensor]:
        """The first training batch, on the device of the module."""
        with isolate_rng():
            seed_all(self.seed)
            # Not trainer.train_dataloader, which is set later: to set it now would change the order of training.
            loaders: Any = trainer.fit_loop._data_source.dataloader()
            if not isinstance(loaders, CombinedLoader):
                loaders = CombinedLoader(loaders, "max_size_cycle")  # as the fit itself does
            found, *_ = next(iter(loaders), (None,))
        if found is None:
            raise ValueError(f"{self._label} needs a batch, and the training data has none")
        found = trainer.strategy.batch_to_device(found, pl_module.device)
        if self._batch_of is not None:
            return self._batch_of(found)
        if isinstance(found, Tensor):
            return found
        if isinstance(found, list | tuple) and len(found) > 1 and all(isinstance(part, Tensor) for part in found[:2]):
            return found[0], found[1]
        raise ValueError(
            f"{self._label} needs inputs and targets, and the first training batch is a {type(found).__name__}: "
            "pass batch_of=, a function that returns them"
        )

    @property
    def _label(self) -> str:
        init = self.init
        if self._initializer.method or callable(init):
            return (self._initializer.method or self._initializer.schemes["weight"]).label
        return str(init["name"] if isinstance(init, Mapping) and "name" in init else init)
