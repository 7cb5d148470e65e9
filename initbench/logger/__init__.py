"""Where a run's metrics are mirrored while it trains: wandb, a CSV file, TensorBoard, nowhere.

The record on disk is the truth; a logger may lose rows, never a run. In order: `prepare` before anything is written,
what it returns before the Trainer, `summarize` once the final numbers are known, `close` in the run's `finally`.
Lightning calls `finalize` on every logger after each of `fit` and `test`, so only `close` ends a run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initbench.schema import target

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

__all__ = ["Opening", "RunInfo", "close", "is_none", "none", "prepare", "summarize"]


@dataclass(frozen=True)
class RunInfo:
    """What loggers may know about a run.

    `folder` is the run's own and exists. `attempt` counts the times the run was started from scratch;
    `resumed` says that this process continues the attempt from a checkpoint.
    """

    folder: Path
    study: str
    name: str
    tags: list[str]
    config: dict[str, Any]
    signature: str
    attempt: int
    resumed: bool

    @property
    def flat_config(self) -> dict[str, Any]:
        """The config with dotted keys: `{"init": {"gain": 2}}` becomes `{"init.gain": 2}`; lists stay."""
        return dict(_flatten(self.config))


Opening = Callable[[RunInfo], "list[Logger]"]


def prepare(cfg: Mapping[str, Any]) -> Opening:
    """What opens the loggers of a run, as one `conf/logger/*.yaml` wants them; they may be none.

    Raises ValueError for a wrong option, a missing optional package or a missing key: before there is any run.
    """
    opening: Opening = target.call("logger", cfg)
    return opening


def is_none(cfg: Mapping[str, Any]) -> bool:
    """Whether there is nobody to tell."""
    return cfg["_target_"] == f"{__name__}.none"


def none() -> Opening:
    """No logger at all: the record is enough."""
    return lambda run: []


def summarize(loggers: "Sequence[Logger]", metrics: dict[str, Any]) -> None:
    """Hands over a run's final numbers (best accuracy, steps to a threshold, status).

    wandb: the run's summary. TensorBoard: the numbers among them, beside the config in its HParams tab.
    CSV: nothing, a table of steps has no place for them.
    """
    for logger in loggers:
        if write := getattr(logger, "summarize", None):
            write(metrics)


def close(loggers: "Sequence[Logger]", exit_code: int) -> None:
    """Ends every logger: what is buffered is written, wandb's run is marked finished (0) or failed (else)."""
    for logger in loggers:
        if end := getattr(logger, "close", None):
            end(exit_code)
        else:
            logger.finalize("success" if exit_code == 0 else "failed")


def _flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
