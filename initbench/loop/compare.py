"""`initbench.compare`: which initializer is best in a training loop of the user's own."""

import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton

from initbench.analysis.loading.frame import load_runs
from initbench.console import console, errors
from initbench.init import initializer
from initbench.init.scheme import Spec
from initbench.loop.run import Run, Train, run
from initbench.record.life import mark_dead, mark_lost
from initbench.record.own import own_config
from initbench.record.store import COMPLETE, Store, check_writable
from initbench.report.verdict import ReportableVerdict, metric_named, verdict
from initbench.status.facts import from_record
from initbench.status.line import line
from initbench.workers.pool import Pool
from initbench.workers.reply import outcome
from initbench.workers.slots import Slots

_STOP_SECONDS = 10.0


def compare(
    train: Train,
    inits: Sequence[Spec],
    seeds: Iterable[int],
    *,
    score: str,
    higher_is_better: bool,
    unit: str = "",
    chance: float | None = None,
    workload: str | None = None,
    study: str = "compare",
    runs_dir: str | Path = "runs",
    processes: int | None = None,
    margin: float | None = None,
    reference: str | None = None,
) -> ReportableVerdict:
    """Which initializer to use in your own training loop, and how sure that is.

    train(initialize, seed) builds a model, calls `initialize(model)`, which initializes it in place and returns it,
    trains it, and returns the score: as a number, as a mapping of names to numbers, or as a list of such mappings, one
    for each evaluation, with a `step` if it likes; then the last one counts. An initializer that needs data gets it as
    `initialize(model, batch=(inputs, targets), loss=...)`. Before each call, the generators of Python, NumPy and torch
    are seeded with `seed`.

    It is called once for each of `inits` (as in `initbench.initialize`) and `seeds`, in warm worker processes, as many
    at a time as there are GPUs or cores, or `processes`. What it prints is in the log of the run. Each run has a record
    in <runs_dir>/<study>/, as a sweep writes it: `initbench.load_runs`, `python -m initbench.status` and
    `python -m initbench.report` read it. A run with a record is not repeated, so that the same call goes on after an
    interruption; after an edit of `train` its runs are others. Only its own text counts, not that of what it calls.

    unit, chance, margin and reference are as in `initbench.verdict`; workload is what tables call the loop, the name of
    the function unless it is given.

    Raises ValueError, in one line, for arguments that make no sense and for an initializer that does not exist.
    """
    metric = metric_named(score, higher_is_better, unit, chance)
    source, each = _source(train), _checked(seeds)
    name = workload or str(getattr(train, "__name__", type(train).__name__))
    wanted = [
        Run(train, init, own_config(name, init, seed, study=study, runs_dir=runs_dir, source=source), metric)
        for init in _valid(inits)
        for seed in each
    ]
    folder = Path(runs_dir) / study
    check_writable(runs_dir)
    ours = {Store(one.config).folder.name for one in wanted}
    todo = [one for one in wanted if (Store(one.config).read() or {}).get("status") not in COMPLETE]
    if todo:
        _make(todo, len(wanted), processes)
    runs = load_runs(folder)
    return verdict(runs[runs["path"].map(lambda path: Path(path).name in ours)], margin=margin, reference=reference)


def _source(train: Train) -> str | None:
    """A digest of the text of a function; None for one without a file. Raises ValueError for what cannot be called."""
    if not callable(train):
        raise ValueError(f"train must be a function of initialize and seed, got {type(train).__name__}")
    try:
        inspect.signature(train).bind(None, 0)
    except TypeError as error:
        raise ValueError(f"train must take initialize and seed: {error}") from error
    try:
        return hashlib.sha256(inspect.getsource(train).encode()).hexdigest()[:10]
    except (OSError, TypeError):
        return None


def _valid(inits: Sequence[Spec]) -> list[Any]:
    if isinstance(inits, str | Mapping) or not inits:
        raise ValueError(f"inits must be a list of initializers, got {inits!r}")
    for init in inits:
        initializer(init)  # which raises what is wrong with it
    return list(inits)


def _checked(seeds: Iterable[int]) -> list[int]:
    found = list(seeds)
    if not found or any(not isinstance(seed, int) or isinstance(seed, bool) or seed < 0 for seed in found):
        raise ValueError(f"seeds must be whole numbers of at least 0, got {found!r:.80}")
    if len(set(found)) < len(found):
        raise ValueError("seeds must not have the same number twice")
    return found


def _make(todo: Sequence[Run], total: int, processes: int | None) -> None:
    """Make the runs, several at a time, with a line for each that ends."""
    if processes is not None and (not isinstance(processes, int) or processes < 1):
        raise ValueError(f"processes must be a whole number of at least 1, got {processes!r}")
    environments = Slots(slots=processes).environments()[: len(todo)]
    preload = ["torch", "initbench.init"]
    setup = cloudpickle.dumps((sys.argv, sys.orig_argv, preload, Singleton.get_state(), None, None))
    pool = Pool(environments, setup, _STOP_SECONDS)
    jobs: Iterator[tuple[int, bytes]] = ((number, cloudpickle.dumps((run, one))) for number, one in enumerate(todo))
    done = total - len(todo)
    with pool.at_work():
        for number, reply in pool.run(jobs):
            done += 1
            _tell(todo[number], outcome(reply)._return_value, f"[{done}/{total}] ")
    pool.close()


def _tell(one: Run, answer: Any, prefix: str) -> None:
    store = Store(one.config)
    if isinstance(answer, Exception):  # its process died
        mark_lost(store, str(answer))  # before its record said running
        mark_dead(store.folder.parent)  # or after
        answer = store.read() or {}
    if answer:
        to = errors if answer["status"] in ("failed", "refused") else console
        to.print(prefix.replace("[", r"\["), end="", soft_wrap=True)
        to.print(line(from_record(answer, store.folder.name)), soft_wrap=True)
