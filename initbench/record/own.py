"""Records of runs that no config made: of a training loop or a Trainer of the user's own."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from initbench.init.scheme import Spec, options, read_option
from initbench.metric import Metric
from initbench.record.history import History
from initbench.record.life import Life
from initbench.record.plain import PlainConfig, Record, Row
from initbench.record.signature import shared_init
from initbench.schema.config import folder_name


def own_config(
    name: str,
    init: Spec,
    seed: int,
    metric: Metric,
    *,
    study: str,
    runs_dir: str | Path,
    parameters: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    source: Mapping[str, str] | None = None,
) -> PlainConfig:
    """The config of a record, which tells runs apart.

    name: what tables call what is trained. init, overrides: as in `initbench.initialize`. parameters: what else tells
    workloads apart. source: digests of the user's code by group, so that an edit makes another run.

    Raises ValueError for a study that is no name of a folder.
    """
    try:
        folder_name(study)
    except ValueError as error:
        raise ValueError(f"study {error}, got {study!r}") from error
    own = {"name": "own"}
    return {
        "init": {**_node(init), **(overrides or {})},
        "model": {**(parameters or {}), "name": name},
        "data": own,
        "task": {**own, "score": metric.name, "higher_is_better": metric.higher_is_better},
        "optimizer": own,
        "scheduler": {},
        "trainer": {},
        "seed": seed,
        "study": study,
        "runs_dir": str(runs_dir),
        "force": False,
        **({"source": dict(source)} if source else {}),
    }


def end(
    life: Life,
    history: History,
    metric: Metric,
    final: float,
    *,
    table: Sequence[Row],
    seconds_init: float,
    more: Mapping[str, Any],
    targets: Sequence[float] = (),
) -> Record:
    """Write the record of a run whose score ended at `final`: it diverged where that is no number.

    table: what was done to each parameter. targets: values of the score to which the time is measured.
    """
    if history.diverged is None and not math.isfinite(final):
        history.diverged = f"{metric.name} is {final} at the end"
    life.store.write_table("parameters", table)
    test = {} if history.diverged else {metric.name: final}
    return life.end(
        history, more, metric=metric, chance_loss=None, test=test, targets=targets, seconds_init=seconds_init
    )


def _node(init: Spec) -> PlainConfig:
    if isinstance(init, str):
        return {**shared_init(), **read_option(init), "name": init}
    if isinstance(init, Mapping):
        name = str(init.get("name", init.get("_target_", "own")))
        return {**shared_init(), **(read_option(name) if name in options() else {}), **init, "name": name}
    name = getattr(init, "__name__", type(init).__name__)
    return {"name": name, "_target_": f"{init.__module__}.{name}"}
