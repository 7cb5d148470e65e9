"""`initbench.compare`: which initializer is best in a training loop of the user's own."""

import hashlib
import inspect
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from numbers import Integral
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton

from initbench.analysis.loading.frame import to_frame
from initbench.console import console, errors
from initbench.init import initializer
from initbench.init.scheme import Spec
from initbench.loop.run import Run, Train, run
from initbench.metric import metric_named
from initbench.record.flat import flat
from initbench.record.life import mark_dead, mark_lost
from initbench.record.own import own_config
from initbench.record.plain import Row
from initbench.record.store import COMPLETE, Store, check_writable
from initbench.report.verdict import ReportableVerdict, verdict
from initbench.status.facts import from_record
from initbench.status.line import line
from initbench.wording import count
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
    trains it, and returns the score: a number, a mapping of names to numbers, or a list of such mappings, one for each
    evaluation, of which the last counts; a mapping may have a `step`. For initializers that need data, it calls
    `initialize(model, batch=(inputs, targets), loss=...)`, which is allowed for all others, too. Before each call of
    `train`, the generators of Python, NumPy and torch are seeded with `seed`.

    `train` is called once for each of `inits` (as in `initbench.initialize`) and each of `seeds`, in worker processes,
    as many at a time as there are GPUs or cores, or as `processes` says. What it prints is kept in the log of the run,
    with the traceback if it fails. Each run has a record in <runs_dir>/<study>/, as in a sweep: `initbench.load_runs`,
    `python -m initbench.status` and `python -m initbench.report` read it. A finished run is not repeated, so an
    interrupted call is continued by calling it again. Runs are made anew after an edit of `train` or of an initializer
    that is a function, or for another `score`; an edit of what these call is not noticed.

    unit, chance, margin and reference are as in `initbench.verdict`; workload is what tables call the loop, the name of
    the function unless it is given. Returns the verdict on all of these runs.

    Raises ValueError, in one line, for arguments that make no sense and for an initializer that does not exist.
    """
    metric = metric_named(score, higher_is_better, unit, chance)
    of_train, numbers = _source_of(train), _checked(seeds)
    name = workload or _name(train)
    wanted = [
        Run(train, init, own_config(name, init, seed, metric, study=study, runs_dir=runs_dir, source=source), metric)
        for init, source in _valid(inits, of_train)
        for seed in numbers
    ]
    check_writable(runs_dir)
    todo = [one for one in wanted if (Store(one.config).read() or {}).get("status") not in COMPLETE]
    if todo:
        _make(todo, len(wanted), processes)
    return verdict(to_frame(_rows(wanted)), margin=margin, reference=reference)


def _rows(wanted: Sequence[Run]) -> Iterator[Row]:
    """The rows of the runs' records; unit and chance are as in this call, whichever call made the runs."""
    for one in wanted:
        store = Store(one.config)
        if record := store.read():
            row = flat({**record, "metric": asdict(one.metric)} if "metric" in record else record)
            yield {**row, "path": str(store.folder)}


def _source_of(train: Train) -> dict[str, str]:
    """A digest of the text of `train`, as a config has it. Raises ValueError for what cannot be called."""
    if not callable(train):
        raise ValueError(f"train must be a function of initialize and seed, got {type(train).__name__}")
    try:
        inspect.signature(train).bind(None, 0)
    except TypeError as error:
        raise ValueError(f"train must take initialize and seed: {error}") from error
    return _digest(train, "model")


def _digest(function: Any, group: str) -> dict[str, str]:
    """A digest of the text of a function, under the group that it counts for; empty where there is no text."""
    try:
        return {group: hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:10]}
    except (OSError, TypeError):
        return {}


def _valid(inits: Sequence[Spec], of_train: dict[str, str]) -> list[tuple[Any, dict[str, str]]]:
    """Each initializer with the digests of a run. Raises ValueError for one that does not exist or is there twice."""
    if not isinstance(inits, Sequence) or isinstance(inits, str) or not inits:
        raise ValueError(f"inits must be a list of initializers, got {inits!r}")
    functions = Counter(_name(init) for init in inits if callable(init))
    for name, times in functions.items():
        if times > 1:
            raise ValueError(f"{times} of inits are functions called {name!r}: their names must differ")
    if twice := [init for place, init in enumerate(inits) if init in inits[:place]]:
        raise ValueError(f"inits must not have the same initializer twice: {twice[0]!r}")
    for init in inits:
        initializer(init)  # which raises what is wrong with it
    return [(init, {**of_train, **(_digest(init, "init") if callable(init) else {})}) for init in inits]


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _checked(seeds: Iterable[int]) -> list[int]:
    found = list(seeds) if isinstance(seeds, Iterable) else []
    if not found or any(not isinstance(seed, Integral) or isinstance(seed, bool) for seed in found):
        raise ValueError(f"seeds must be whole numbers, got {seeds!r:.80}")
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
    done, failed = total - len(todo), 0
    told = f"{done} of {total} runs done, {len(todo)} to go" if done else count(total, "run")
    console.print(f"{told}, {len(environments)} at a time", soft_wrap=True)  # importing torch takes a while
    with pool.at_work():
        for number, reply in pool.run(jobs):
            done += 1
            failed += _tell(todo[number], outcome(reply)._return_value, f"[{done}/{total}] ") == "failed"
    pool.close()
    if failed:
        folder = Store(todo[0].config).folder.parent
        errors.print(
            f"{count(failed, 'run')} failed; log.txt in {'its folder' if failed == 1 else 'their folders'} under "
            f"{folder} says why",
            soft_wrap=True,
        )


def _tell(one: Run, answer: Any, prefix: str) -> str | None:
    """Print how a run ended, and return its status."""
    store = Store(one.config)
    if isinstance(answer, Exception):  # its process died
        mark_lost(store, str(answer))  # before its record said running
        mark_dead(store.folder.parent)  # or after
        answer = store.read() or {}
    if answer:
        to = errors if answer["status"] in ("failed", "refused") else console
        to.print(prefix.replace("[", r"\["), end="", soft_wrap=True)
        to.print(line(from_record(answer, store.folder.name)), soft_wrap=True)
    return answer["status"] if answer else None
