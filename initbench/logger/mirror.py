"""What the mirrors of runs on wandb, MLflow and Trackio share: none of their calls fails or ends a run.

The first exception is reported in one line, then the run's mirror stays quiet.
"""

import hashlib
import sys
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from initbench.logger import RunInfo
from initbench.masking import hide
from initbench.wording import visible

T = TypeVar("T")


class Mirror:
    """A Lightning logger whose calls never raise, ended by `close` and not by Lightning's `finalize`.

    It has what a Trainer asks of a Logger without being one: importing Lightning takes seconds, and packs do without.
    `started` is what the service is told with, None where it does not work: every call is then ignored.
    """

    service: ClassVar[str]

    def __init__(self, run: RunInfo, started: Any) -> None:
        self.name = run.study
        self.version = identity(run)
        self.save_dir = self.root_dir = self.log_dir = str(run.folder)
        self.group_separator = "/"
        self._experiment = started

    @property
    def experiment(self) -> Any:
        """What the service itself offers for a run, or a stand-in that ignores every call."""
        return _Silence() if self._experiment is None else self._experiment

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Does nothing."""

    def save(self) -> None:
        """Does nothing: rows reach the disk, or the server, within a second."""

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Does nothing: checkpoints are the run's own."""

    def finalize(self, status: str) -> None:
        """Does nothing: Lightning calls it after `fit` and again after `test`."""

    def _attempt(self, action: Callable[[], object]) -> None:
        if self._experiment is None:
            return
        try:
            action()
        except Exception as error:  # a logger must not end the run
            self._experiment = None
            say(self.service, f"nothing more is logged for this run: {reason(error)}")


class _Silence:
    """Ignores every call."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


_unusable: set[tuple[str, str]] = set()


def started(service: str, place: str, start: Callable[[], T]) -> T | None:
    """What `start` returns; None where it raises.

    A place that a run of this process could not be started in is left alone by the later ones: they neither wait for it
    nor repeat what was said.
    """
    if (service, place) in _unusable:
        return None
    try:
        return start()
    except Exception as error:  # whatever the service dies of: the run goes on without
        _unusable.add((service, place))
        say(service, f"runs are not logged: {reason(error)}")
        return None


def identity(run: RunInfo) -> str:
    """The run's id on a service: the same for a run that continues, another one for each attempt."""
    # The folder too: the same config in another study is another run.
    folder = hashlib.sha256(str(run.folder.resolve()).encode()).hexdigest()[:6]
    return f"{run.signature}-{folder}-{run.attempt}"


def cut(text: str, most: int) -> str:
    """A text no longer than `most`; what is cut off is told apart by a digest."""
    text = visible(text)
    return text if len(text) <= most else f"{text[: most - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def reason(error: Exception) -> str:
    """The first line of an exception's message."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def say(service: str, line: str) -> None:
    """Print a line about a service, without secrets."""
    print(f"{service}: {visible(hide(line))}", file=sys.stderr, flush=True)
