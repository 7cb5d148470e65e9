"""One run of a pack: what is its own, from its config to its record."""

from dataclasses import dataclass, field
from typing import Any

from initbench import logger
from initbench.logger import RunInfo
from initbench.record.fields import conclusion
from initbench.record.flat import numbers
from initbench.record.log import logging_to
from initbench.record.provenance import provenance
from initbench.record.rows import Rows
from initbench.record.store import Store, now
from initbench.training.build import Experiment


@dataclass
class Replica:
    """`seconds` are its share of the pack's: a pack of R takes each second from R runs alike."""

    store: Store
    experiment: Experiment
    replicas: int  # in its pack, when it began
    started: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    seconds_evaluation: float = 0.0
    diverged: str | None = None
    epoch: int = 0

    def __post_init__(self) -> None:
        self.rows = Rows(self.store)

    def begin(self, state: dict[str, Any] | None) -> None:
        """Say that it runs, and since when; `state`: where it goes on."""
        self.store.checkpoint.unlink(missing_ok=True)  # of a run by itself, which this one was forced to replace
        if state is None:
            before = self.store.read() or {}
            self.started = {"attempt": before.get("attempt", 0) + 1, "started_at": now(), "resumed_at": []}
        else:
            self.rows.by_step, self.rows.latest = state.pop("rows"), state.pop("latest")
            vars(self).update(state)
            self.started["resumed_at"] = [*self.started["resumed_at"], now()]
        total_steps = self.experiment.total_steps
        self.store.write("running", **self.started, total_steps=total_steps, provenance=provenance())
        with logging_to(self.store.folder / "log.txt") as log:
            how = "begins" if state is None else "goes on"
            log.info(f"attempt {self.started['attempt']} {how}, as one of {self.replicas} replicas")
        self.store.write_table("parameters", self.experiment.learner.init_table)

    def state_dict(self) -> dict[str, Any]:
        """What `begin` needs to go on."""
        own = ("started", "seconds", "seconds_evaluation", "diverged", "epoch")
        return {"rows": self.rows.by_step, "latest": self.rows.latest, **{name: getattr(self, name) for name in own}}

    def add(self, step: int, values: dict[str, float]) -> None:
        self.rows.add(step, self.epoch, self.seconds, values)

    def end(self, test: dict[str, float]) -> dict[str, Any]:
        """Write the record."""
        status = "diverged" if self.diverged else "finished"
        outcome = {"status": status, "reason": self.diverged, "test": test}
        self.rows.flush()
        parts = {
            **self.started,
            **conclusion(self.experiment, self.rows, outcome),
            "seconds_train": self.seconds,
            "seconds_evaluation": self.seconds_evaluation,
            "seconds_compile": 0.0,
            "seconds_diagnostics": 0.0,
            "diagnostics": {"steps": [], "missing": {}},
            "replicas": self.replicas,
        }
        return self.store.write(status, **parts)

    def stop(self) -> None:
        """Write the record of a run that a signal stopped."""
        self.rows.flush()
        end = {**self.started, "finished_at": now(), "provenance": provenance()}
        self.store.write("interrupted", **end, reason="stopped")

    def tell(self, record: dict[str, Any]) -> str | None:
        """Tell the loggers all of the run: opening them is no part of the training. Returns what went wrong."""
        config = self.store.config
        info = RunInfo(
            folder=self.store.folder,
            study=config["study"],
            name=self.store.name,
            tags=[config[group]["name"] for group in ("init", "model", "data")],
            config=config,
            signature=self.store.signature,
            attempt=self.started["attempt"],
            resumed=False,
        )
        try:
            loggers = logger.prepare(config["logger"])(info)
            for row in self.rows:
                values = {key: value for key, value in row.items() if key not in ("step", "epoch", "seconds")}
                for one in loggers:
                    one.log_metrics(values, row["step"])
            what = {key: record[key] for key in ("status", "reason", "total_steps")}
            logger.summarize(loggers, {**what, **numbers(record)})
            logger.close(loggers, exit_code=0)
        except Exception as error:  # of whatever a logger is made of: the run is trained, and recorded
            return f"{self.store.name} is not all in its logger: {type(error).__name__}: {error}"
        return None
