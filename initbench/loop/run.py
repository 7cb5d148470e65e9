"""One run of a user's own training loop, from its call to its record."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from initbench.errors import Unwritable, UserMistake
from initbench.metric import Metric
from initbench.record.history import History
from initbench.record.life import Life, claimed, under_way
from initbench.record.own import end
from initbench.record.plain import PlainConfig, Record, Row
from initbench.record.stopping import stoppable
from initbench.record.store import Store

Initialize = Callable[..., Any]
Train = Callable[[Initialize, int], Any]


@dataclass(frozen=True)
class Run:
    """A run to be made: what is called, with which initializer, and where the record goes."""

    train: Train
    init: Any  # as in `initbench.initialize`
    config: PlainConfig
    metric: Metric


@dataclass
class _Calls:
    """What `train` is given: initializes a model, and knows afterwards what was done."""

    init: Any
    seed: int
    seconds: float = 0.0
    weights: list[str] = field(default_factory=list)
    table: list[Row] = field(default_factory=list)

    def __call__(self, model: Any, *, batch: Any = None, loss: Any = None) -> Any:
        """Initialize the model in place and return it; `batch` and `loss` are for initializers that need data."""
        from torch.nn import functional as F  # noqa: N812 - torch's own spelling

        from initbench.init import initializer, rows, weights_digest
        from initbench.init.method import as_batch

        started = time.perf_counter()
        try:
            outcome = initializer(self.init).apply(
                model, seed=self.seed, batch=as_batch(batch), loss=F.cross_entropy if loss is None else loss
            )
        except ValueError as error:
            raise UserMistake(str(error)) from error
        self.seconds += time.perf_counter() - started
        self.weights.append(weights_digest(model))
        self.table += rows(outcome)
        return model


def run(one: Run) -> JobReturn:
    """Make a run and return its record, in a worker process; None where another process is at it."""
    store = Store(one.config)
    with stoppable(), claimed(store) as life:
        if life is None or life.is_complete:
            return JobReturn(status=JobStatus.COMPLETED, _return_value=None if life is None else life.before)
        try:
            with under_way([life]):
                record = _call(one, life)
        except Unwritable:
            raise
        except (Exception, SystemExit):  # whatever a loop dies of, the others go on; the record has the reason
            record = life.store.read() or {}
    return JobReturn(status=JobStatus.COMPLETED, _return_value=record)


def _call(one: Run, life: Life) -> Record:
    from initbench.generators import seed_all

    seed, metric = one.config["seed"], one.metric
    seed_all(seed)
    life.begin(None, metric, resumes=False)
    history, initialize = History(life.store), _Calls(one.init, seed)
    started = time.perf_counter()
    # What a loop prints would be mixed with what others print. Where it leaves the folder, the record would follow.
    with life.log.open("a", encoding="utf-8", errors="backslashreplace") as log, redirect_stdout(log), chdir("."):
        returned = one.train(initialize, seed)
    history.seconds = time.perf_counter() - started - initialize.seconds
    rows = _rows(returned, metric)
    if not initialize.weights:
        raise UserMistake("train(initialize, seed) has to call initialize(model) on the model that it trains")
    step = 0
    for number, row in enumerate(rows):
        step = _step(row.pop("step", number))
        history.add_validation(step, 0, row)
    more = {"initial_weights": " ".join(initialize.weights), "total_steps": step or None}
    return end(
        life,
        history,
        metric,
        rows[-1][metric.name],
        table=initialize.table,
        seconds_init=initialize.seconds,
        more=more,
    )


def _rows(returned: Any, metric: Metric) -> list[dict[str, float]]:
    """What a loop returned as rows of numbers, the last of which has the score. Raises UserMistake otherwise."""
    is_number = isinstance(returned, Real) and not isinstance(returned, bool)
    if is_number or getattr(returned, "shape", None) == ():  # a tensor or array with one number
        returned = {metric.name: returned}
    if isinstance(returned, Mapping):
        returned = [returned]
    if not isinstance(returned, Sequence) or isinstance(returned, str) or not returned:
        raise UserMistake(
            f"train has to return {metric.name} as a number, a mapping with it, or a list of such mappings, "
            f"got {returned!r:.80}"
        )
    rows = []
    for row in returned:
        if not isinstance(row, Mapping):
            raise UserMistake(f"train returned a list with {row!r:.80}, which is no mapping")
        rows.append({str(name): _number(name, value) for name, value in row.items()})
    if metric.name not in rows[-1]:
        last = ", ".join(rows[-1]) or "nothing"
        raise UserMistake(f"train returned no {metric.name!r} at the end, but {last}")
    return rows


def _number(name: object, value: Any) -> float:
    try:
        return float(value.item() if hasattr(value, "item") else value)  # a tensor may have a gradient
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # RuntimeError: a tensor of several
        raise UserMistake(f"train returned {value!r:.80} for {name}, which is no number") from error


def _step(value: float) -> int:
    if not float(value).is_integer():
        raise UserMistake(f"train returned step={value}, which is no whole number")
    return int(value)
