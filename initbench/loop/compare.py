"""`initbench.compare`: which initializer is best in a training loop of the user's own."""

import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton

from initbench.analysis.loading.frame import load_runs
from initbench.console import console, errors
from initbench.init import initializer, options
from initbench.init.scheme import Spec, read_option
from initbench.loop.run import Run, Train, run
from initbench.metric import Metric
from initbench.record.life import mark_dead, mark_lost
from initbench.record.plain import PlainConfig
from initbench.record.signature import shared_init
from initbench.record.store import COMPLETE, Store, check_writable
from initbench.report.verdict import ReportableVerdict, metric_named, verdict
from initbench.schema.config import folder_name
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
    config = _shared(train, metric, workload, study, runs_dir)
    numbers = _checked(seeds)
    wanted = [
        Run(train, init, {**config, "init": node, "seed": seed}, metric)
        for init, node in _named(inits)
        for seed in numbers
    ]
    folder = Path(runs_dir) / study
    ours = [Store(one.config).folder.name for one in wanted]
    if twice := [one.config["init"]["name"] for one in wanted if ours.count(Store(one.config).folder.name) > 1]:
        raise ValueError(f"inits must not have the same initializer, or two functions of one name, twice: {twice[0]}")
    check_writable(runs_dir)
    todo = [one for one in wanted if (Store(one.config).read() or {}).get("status") not in COMPLETE]
    if todo:
        _make(todo, len(wanted), processes)
    runs = load_runs(folder)
    return verdict(runs[runs["path"].map(lambda path: Path(path).name in ours)], margin=margin, reference=reference)


def _shared(train: Train, metric: Metric, workload: str | None, study: str, runs_dir: str | Path) -> PlainConfig:
    """The part of a record's config that all runs have."""
    try:
        folder_name(study)
    except ValueError as error:
        raise ValueError(f"study {error}, got {study!r}") from error
    if not callable(train):
        raise ValueError(f"train must be a function of initialize and seed, got {type(train).__name__}")
    try:
        inspect.signature(train).bind(None, 0)
    except TypeError as error:
        raise ValueError(f"train must take initialize and seed: {error}") from error
    name = workload or getattr(train, "__name__", type(train).__name__)
    try:
        digest = hashlib.sha256(inspect.getsource(train).encode()).hexdigest()[:10]
    except (OSError, TypeError):  # of a function without a file
        digest = None
    own = {"name": "own"}
    return {
        "model": {"name": name},
        "data": own,
        "task": {"name": "own", "score": metric.name, "higher_is_better": metric.higher_is_better},
        "optimizer": own,
        "scheduler": {},
        "trainer": {},
        "study": study,
        "runs_dir": str(runs_dir),
        "force": False,
        **({} if digest is None else {"source": {"model": digest}}),
    }


def _named(inits: Sequence[Spec]) -> Iterator[tuple[Spec, PlainConfig]]:
    """Each initializer with the node that a record has for it. Raises ValueError for one that does not exist."""
    if not isinstance(inits, Iterable) or isinstance(inits, str | Mapping) or not inits:
        raise ValueError(f"inits must be a list of initializers, got {inits!r}")
    for init in inits:
        initializer(init)  # which raises what is wrong with it
        if isinstance(init, str):
            yield init, {**shared_init(), **read_option(init), "name": init}
        elif isinstance(init, Mapping):
            name = str(init.get("name", init.get("_target_", "own")))
            yield init, {**shared_init(), **(read_option(name) if name in options() else {}), **init, "name": name}
        else:
            name = getattr(init, "__name__", type(init).__name__)
            yield init, {"name": name, "_target_": f"{init.__module__}.{name}"}


def _checked(seeds: Iterable[int]) -> list[int]:
    if not isinstance(seeds, Iterable):
        raise ValueError(f"seeds must be a list of whole numbers, got {seeds!r}")
    found = list(seeds)
    if not found or any(not isinstance(seed, Integral) or isinstance(seed, bool) for seed in found):
        raise ValueError(f"seeds must be whole numbers, got {found!r:.80}")
    if not 0 <= min(found) <= max(found) < 2**32:
        raise ValueError(f"seeds must be at least 0 and below 2**32, as NumPy's are, got {found!r:.80}")
    found = [int(seed) for seed in found]  # NumPy's too, which JSON does not know
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
