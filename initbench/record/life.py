"""The life of a run on disk, whoever trains it: it begins or continues, ends, is interrupted, refused, fails, is lost.

No other module writes a status:

    running      `Life.begin`: somebody trains it now, or did when the process died
    finished     `Life.end`
    diverged     `Life.end`: its loss or its gradients stopped being numbers
    interrupted  `under_way`: a signal asked it to stop; it continues from its checkpoint; `mark_dead`: its sweep was
                 stopped, and it did not stop by itself
    refused      `refuse`, `under_way`: the user's mistake
    failed       `under_way`: an exception, with its traceback; `mark_lost`, `mark_dead`: its process died
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initbench import logger
from initbench.errors import LeftAlone, Unwritable, UserMistake
from initbench.logger import Opening, RunInfo
from initbench.masking import hide, learn, masked
from initbench.metric import Metric
from initbench.record import stopping, untold
from initbench.record.damage import discard, readable
from initbench.record.fields import fields
from initbench.record.flat import numbers
from initbench.record.history import History
from initbench.record.index import of_study
from initbench.record.lock import PATIENCE_SECONDS, is_held, lock
from initbench.record.log import logging_to, note
from initbench.record.plain import Record
from initbench.record.provenance import provenance
from initbench.record.samples import write_test_samples
from initbench.record.stopping import Stopped
from initbench.record.store import COMPLETE, Store, now, read_record, write_record
from initbench.record.sweep_id import sweep_id

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger
    from numpy.typing import NDArray

_DIED = "its process died: it was killed, or the machine had no memory left"


@dataclass
class Life:
    """One attempt at one run, while the lock of its folder is held. It can be sent to other processes."""

    store: Store
    before: Record  # the record as it was found; empty where there was none
    started: Record = field(default_factory=dict)  # what every record of this attempt says
    has_ended: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to do."""
        return self.before.get("status") in COMPLETE and not self.store.config["force"]

    @property
    def starts_anew(self) -> bool:
        """Whether a checkpoint must not be used.

        The user wants it so; or what raised may have been mended; or without a record nobody knows whether it raised.
        """
        return self.store.config["force"] or not self.before or "traceback" in self.before

    @property
    def log(self) -> Path:
        return self.store.folder / "log.txt"

    def begin(self, total_steps: int | None, metric: Metric, *, resumes: bool, replicas: int = 1) -> None:
        """Say that the run is trained from now on, from the start or from its checkpoint, in a pack of `replicas`."""
        untold.take(self.store.folder)  # of an attempt that died as it ended
        self.started = {
            "sweep": sweep_id(),
            "attempt": self.before.get("attempt", 0) + (not resumes),
            "started_at": self.before.get("started_at", now()) if resumes else now(),
            "resumed_at": [*self.before.get("resumed_at", []), now()] if resumes else [],
            "replicas": replicas,
            "total_steps": total_steps,
            "metric": asdict(metric),
        }
        self.store.write("running", **self.started, provenance=provenance())
        if not resumes:
            discard(self.store.folder / "layers.parquet")  # of an attempt that had diagnostics, as this one may not
        how = "continues" if resumes else "begins"
        among = f", as one of {replicas} replicas" if replicas > 1 else ""
        note(self.log, f"attempt {self.started['attempt']} {how}{among}")

    def expect(self, total_steps: int) -> None:
        """Say how many steps the run takes, where that was not known when it began."""
        self.started["total_steps"] = total_steps
        self.store.write("running", **self.started, provenance=provenance())

    def end(
        self,
        history: History,
        more: Mapping[str, Any],
        *,
        values: "NDArray[Any] | None" = None,
        **of_fields: Any,
    ) -> Record:
        """Write the record of a run that was trained to its end or diverged; return it.

        values: what is kept of each test sample, see `samples`. See `fields` for the rest.
        """
        history.flush()
        write_test_samples(self.store, self.started["metric"]["name"], values)
        parts = {**self.started, "finished_at": now(), **fields(history, **of_fields), **more}
        record = self.store.write("diverged" if history.diverged else "finished", **parts, provenance=provenance())
        self.has_ended = True
        return record

    def stop(self, status: str, **why: str) -> None:
        """Write the record of an attempt that ends early."""
        why = {key: hide(text) for key, text in why.items()}
        self.store.write(status, **self.started, finished_at=now(), provenance=provenance(), **why)
        self.has_ended = True

    @contextmanager
    def logged(self, opening: Opening, *, resumes: bool) -> Iterator["list[Logger]"]:
        """Inside, the run's loggers are open. `resumes`: whether they have rows of this attempt already."""
        config = self.store.typed
        loggers = opening(
            RunInfo(
                folder=self.store.folder,
                study=config.study,
                name=self.store.name,
                tags=[config.init.name, config.model.name, config.data.name],
                config=masked(self.store.config),
                signature=self.store.signature,
                attempt=self.started["attempt"],
                resumed=resumes,
            )
        )
        exit_code = 1
        try:
            yield loggers
            exit_code = 0
        finally:
            logger.close(loggers, exit_code=exit_code)


@contextmanager
def claimed(store: Store, patience: float = PATIENCE_SECONDS) -> Iterator[Life | None]:
    """Hold the lock of a run; None where another process is at it for longer than `patience` (seconds)."""
    with lock(store.folder, patience) as mine:
        yield Life(store, store.read() or {}) if mine else None


@contextmanager
def under_way(lives: Sequence[Life]) -> Iterator[None]:
    """Inside, the runs are trained. What they say is in their logs, and what ends them early is in their records."""
    for life in lives:
        learn(life.store.config)
    with logging_to([life.log for life in lives]):
        try:
            yield
        except BaseException as error:  # a user's function may also call sys.exit
            ends = [life for life in lives if life.started and not life.has_ended]
            if isinstance(error, Unwritable):
                for life in ends:
                    note(life.log, str(error))  # the log's folder may have room
            elif isinstance(error, UserMistake):  # an initializer's, which could not be found any earlier
                for life in ends:
                    life.stop("refused", reason=str(error))
            elif isinstance(error, Stopped | KeyboardInterrupt) or stopping.requested():
                for life in ends:
                    note(life.log, "interrupted")
                    life.stop("interrupted", reason="stopped")
                if stopping.requested() and not isinstance(
                    error, Stopped
                ):  # Lightning raises an exception of its own on SIGTERM
                    stopping.stop()
            else:
                for life in ends:
                    note(life.log, f"failed\n{traceback.format_exc()}")
                    life.stop("failed", reason=_reason(error), traceback=traceback.format_exc())
            raise


def log_summary(loggers: "Sequence[Logger]", record: Mapping[str, Any]) -> None:
    """Hand the final numbers of a run to its loggers."""
    what = {key: record[key] for key in ("status", "reason", "total_steps", "metric")}
    logger.summarize(loggers, {**what, **numbers(record)})


def refuse(store: Store, mistake: UserMistake) -> Record | None:
    """Record a mistake that was found before the run began; None where another process is at the run."""
    learn(store.config)
    with claimed(store) as life:
        if life is None:
            return None
        if life.is_complete:
            return life.before
        # These belong to an earlier attempt, which continues when the mistake is mended.
        kept = {key: life.before[key] for key in ("attempt", "resumed_at", "traceback") if key in life.before}
        times = {"started_at": life.before.get("started_at", now()), "finished_at": now()}
        return store.write("refused", **kept, **times, sweep=sweep_id(), reason=hide(str(mistake)))


def mark_lost(store: Store, reason: str) -> None:
    """Record that a run's process was lost, unless the run came as far as a record of its own."""
    if (store.read() or {}).get("status") in (None, "failed", "refused"):
        with suppress(LeftAlone):  # which was said already
            store.write("failed", reason=hide(reason), started_at=now(), finished_at=now(), sweep=sweep_id())


def mark_dead(study: Path, stopped: str | None = None) -> None:
    """Mark records of a study as failed that say "running" but are not locked.

    stopped: the id of a sweep that was stopped; its runs, which did not end by themselves and were killed, are marked
    as interrupted, and no others.
    """
    records = of_study(study)
    for folder in study.iterdir():
        row = readable(records.read, folder.name)
        if row is None or row["status"] != "running" or is_held(folder):
            continue
        record = readable(read_record, folder)
        if record is None or record["status"] != "running":  # it ended just now
            continue
        if stopped is None:
            write_record(folder, {**record, "status": "failed", "reason": _DIED, "finished_at": now()})
        elif record.get("sweep") == stopped:
            write_record(folder, {**record, "status": "interrupted", "reason": "stopped", "finished_at": now()})


def _reason(error: BaseException) -> str:
    import torch

    advice = ""
    if isinstance(error, torch.OutOfMemoryError):
        advice = " Try trainer.on_oom=halve, a smaller data.batch_size or trainer.precision=bf16-mixed."
    return f"{type(error).__name__}: {error}{advice}"
