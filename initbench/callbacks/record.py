"""Writes the record of any Lightning fit, as a sweep writes it, from what the module logs."""

import json
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling

from initbench.callbacks.initialize import Initialize
from initbench.callbacks.logged import Logged
from initbench.metric import logged_metric
from initbench.record.history import History
from initbench.record.life import Life, claimed, under_way
from initbench.record.own import end, own_config
from initbench.record.store import Store, check_writable


class Record(Logged):
    """`Trainer(callbacks=[Initialize("orthogonal", seed=0), Record(score="val_loss", higher_is_better=False)])`.

    The run belongs to `study`, and is known by the initializer and the seed of `Initialize`, the name of the module's
    class and its hyperparameters (`save_hyperparameters`). Each validation is a row of its history; `score` is the name
    under which the module logs the metric that runs are judged by, and what was logged last counts. Then
    `initbench.verdict(initbench.load_runs("runs/study"))`, `python -m initbench.report runs/study` and
    `python -m initbench.status runs/study` read the records.

    A fit that raises or is interrupted has a record that says so. A run that has a record is fitted and recorded again.
    With several processes, the first one writes.

    unit and chance are as in `initbench.verdict`.

    Raises ValueError, before the first step, where there is no `Initialize` beside it or another process is at the run;
    and after a validation, or at the end without any, where the module has not logged the score.
    """

    def __init__(
        self,
        *,
        score: str,
        higher_is_better: bool,
        unit: str = "",
        chance: float | None = None,
        study: str = "main",
        runs_dir: str | Path = "runs",
    ) -> None:
        super().__init__(logged_metric(score, higher_is_better, unit, chance), History(None))
        self._study, self._runs_dir = study, str(runs_dir)
        self._stack = ExitStack()
        self._life: Life | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.ckpt_path is None:
            self.history = History(None)  # not that of another fit
        if not trainer.is_global_zero:
            return
        initialize = _initialize(trainer)
        check_writable(self._runs_dir)
        parameters = {str(key): _plain(value) for key, value in pl_module.hparams_initial.items()}
        config = own_config(
            type(pl_module).__name__,
            initialize.init,
            initialize.seed,
            self.metric,
            study=self._study,
            runs_dir=self._runs_dir,
            parameters=parameters,
            overrides=initialize.overrides,
        )
        store = Store({**config, "force": True})
        life = self._stack.enter_context(claimed(store))
        if life is None:
            self._stack.close()
            raise ValueError(f"another process is at the run {store.folder}")
        self._stack.enter_context(under_way([life]))
        self._life, self.history.store = life, store
        total = trainer.estimated_stepping_batches
        life.begin(int(total) if 0 < total < float("inf") else None, self.metric, resumes=False)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._life is None:
            return
        initialize = _initialize(trainer)
        end(
            self._life,
            self.history,
            self.metric,
            self.final(trainer),
            table=initialize.table,
            seconds_init=initialize.seconds,
            more=initialize.fields(),
        )
        self._life = None
        self._stack.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._life = None
        with suppress(BaseException):  # it is raised again; Lightning raises it by itself
            self._stack.__exit__(type(exception), exception, exception.__traceback__)


def _initialize(trainer: L.Trainer) -> Initialize:
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets them
    beside = [callback for callback in callbacks if isinstance(callback, Initialize)]
    if len(beside) != 1:
        raise ValueError(f"Record needs one initbench.Initialize among the callbacks, and there are {len(beside)}")
    return beside[0]


def _plain(value: Any) -> Any:
    """A hyperparameter as JSON has it; of an object its name alone, as its address differs from fit to fit."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return getattr(value, "__qualname__", type(value).__qualname__)
