"""Weights & Biases as a mirror that can neither fail nor block a run.

The run's file is flushed every second, so that a killed process keeps its rows; without a key or a server the
run is written offline. The first exception is reported in one line, then the run's mirror stays quiet.
"""

import hashlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from initbench.logger import RunInfo
from initbench.masking import hide, hide_all
from initbench.schema.ranges import PositiveFloat
from initbench.wandb_client import of_our_own
from initbench.wording import visible

if TYPE_CHECKING:
    from wandb import Run

# The longest that the server takes, in characters; a run with more is refused as a whole.
_LONGEST_TAG, _LONGEST_NAME, _LONGEST_KEY = 64, 128, 255


def mirror(
    *,
    project: str,
    entity: str | None,
    mode: Literal["auto", "online", "offline"],
    init_timeout_s: PositiveFloat,  # wandb reads 0 as forever
    finish_timeout_s: PositiveFloat,
) -> "Callable[[RunInfo], list[WandbMirror]]":
    """Starts the wandb run `<signature>-<attempt>` in the study's group and wraps it as a Lightning logger.

    Raises ValueError for `mode=online` without an API key.
    """
    if len(project) > _LONGEST_NAME or (wrong := set(project) & set("/\\#?%:")):
        what = f"not have {' '.join(sorted(wrong))}" if len(project) <= _LONGEST_NAME else "have at most 128 characters"
        raise ValueError(f"logger.project must {what}, got {project!r}")
    settings = {
        "init_timeout": init_timeout_s,
        "finish_timeout": finish_timeout_s,
        "finish_timeout_raises": True,  # with a silent console a cut upload would pass unnoticed
        "x_transaction_log_flush_interval": 1.0,  # a run killed within wandb's own 15 s lost every row
        "console": "off",  # captured progress bars help nobody
        "silent": True,
    }
    if os.environ.get("WANDB_MODE", mode) == "online" and not _Process.unreachable and (problem := _no_key()):
        raise ValueError(f"logger.mode=online, but {problem}. logger.mode=auto goes on without it.")

    def opening(run: RunInfo) -> "list[WandbMirror]":
        return [WandbMirror(run, _start(run, mode, project=project, entity=entity, settings=settings))]

    return opening


class WandbMirror:
    """A Lightning logger whose calls never raise, ended by `close` and not by Lightning's `finalize`.

    It has what a Trainer asks of a Logger without being one: importing Lightning takes seconds, and packs do without.
    `started` is None where wandb does not work: every call is then ignored.
    """

    def __init__(self, run: RunInfo, started: "Run | None") -> None:
        self.name = run.study
        self.version = identity(run)
        self.save_dir = self.root_dir = self.log_dir = str(run.folder)
        self.group_separator = "/"
        self._run = self._experiment = started
        # Every row has trainer/global_step, as those of Lightning's own logger; it is the x axis.
        self._attempt(lambda: self.experiment.define_metric("trainer/global_step"))
        self._attempt(lambda: self.experiment.define_metric("*", step_metric="trainer/global_step", step_sync=True))

    @property
    def experiment(self) -> Any:
        """The wandb run, or a stand-in that ignores every call."""
        return _Silence() if self._experiment is None else self._experiment

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        row = dict(metrics) if step is None else {**metrics, "trainer/global_step": step}
        self._attempt(lambda: self.experiment.log(row))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._attempt(lambda: self.experiment.config.update(dict(params), allow_val_change=True))

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Does nothing."""

    def save(self) -> None:
        """Does nothing: rows reach the disk within a second."""

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Does nothing: checkpoints are the run's own."""

    def summarize(self, metrics: dict[str, Any]) -> None:
        """Writes the final numbers and words to the run's summary, where the dashboard's table has them."""
        self._attempt(lambda: self.experiment.summary.update(metrics))

    def finalize(self, status: str) -> None:
        """Does nothing: Lightning calls it after `fit` and again after `test`; rows reach the disk anyway."""

    def close(self, exit_code: int) -> None:
        """Ends the run, once; a quiet one too, as the dashboard would otherwise show it running."""
        run, quiet = self._run, self._experiment is None
        self._run = self._experiment = None
        if run is None:
            return
        try:
            run.finish(exit_code=exit_code)
        except Exception as error:  # a mirror that cannot be ended must not end the run
            if not isinstance(error, TimeoutError):
                _tear_down()
            if not quiet:
                where = shlex.quote(run.settings.sync_dir)
                _say(f"not all was uploaded ({_reason(error)}). Upload the rest later: wandb sync {where}")

    def _attempt(self, action: Callable[[], object]) -> None:
        if self._experiment is None:
            return
        try:
            action()
        except Exception as error:  # a logger must not end the run
            self._experiment = None
            _say(f"nothing more is logged for this run: {_reason(error)}")


class _Silence:
    """Ignores every call."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


class _Process:
    """What this process has learned, so that its later runs neither wait for it nor repeat it."""

    unreachable = False
    # Only the first of the workers of a sweep on one machine says where the runs are.
    told = os.environ.get("LOCAL_LAUNCHER_SLOT", "0") != "0"


def _start(run: RunInfo, wanted: str, **options: Any) -> "Run | None":
    """The started run; offline where online cannot be had, None where wandb does not work at all."""
    import wandb

    mode, problem = _choose(run, wanted), ""
    for choice in (mode, "offline"):
        try:
            _mute()
            _list_packages_once()
            with of_our_own(), _typed_without_secrets():
                return wandb.init(
                    mode=choice,  # type: ignore[arg-type]  # WANDB_MODE may hold any of wandb's own words
                    id=identity(run),
                    name=_cut(run.name, _LONGEST_NAME),
                    group=_cut(run.study, _LONGEST_NAME),
                    job_type=_cut(os.environ.get("WANDB_JOB_TYPE", ""), _LONGEST_TAG) or None,
                    tags=list(dict.fromkeys(_cut(tag, _LONGEST_TAG) for tag in run.tags if tag)),
                    config={_cut(key, _LONGEST_KEY): value for key, value in run.flat_config.items()},
                    dir=run.folder,
                    resume="allow" if run.resumed else None,  # under an old id a fresh start doubles every step
                    reinit="create_new",  # the default hands back a run that is still open
                    **options,
                )
        except Exception as error:  # whatever the service dies of: the run goes on offline, or without
            problem = _reason(error)
            _tear_down()
        if choice == "online":
            _Process.unreachable = True
            _tell_offline(run, problem)
    _say(f"this run is not logged: {problem}")
    return None


def _cut(text: str, most: int) -> str:
    """A text no longer than `most`; what is cut off is told apart by a digest."""
    text = visible(text)
    return text if len(text) <= most else f"{text[: most - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@contextmanager
def _typed_without_secrets() -> Iterator[None]:
    """Inside, the command line is what wandb may send along."""
    typed, sys.argv[:] = list(sys.argv), hide_all(sys.argv)
    try:
        yield
    finally:
        sys.argv[:] = typed


@cache
def _list_packages_once() -> None:
    """wandb reads the metadata of every installed package for each run: 100 of the 140 ms that a run costs it."""
    import wandb.util

    packages = cache(lambda listed=wandb.util.working_set: tuple(listed()))
    wandb.util.working_set = packages


def _choose(run: RunInfo, wanted: str) -> str:
    """The mode to start in, found without a prompt and without the network."""
    mode = os.environ.get("WANDB_MODE", wanted)
    if mode not in ("auto", "online"):
        return mode
    if _Process.unreachable:
        return "offline"
    problem = _no_key()
    if problem:
        _tell_offline(run, problem)
    return "offline" if problem else "online"


def _no_key() -> str:
    """Why wandb cannot be online, as far as it knows without the network; nothing where it can."""
    import wandb

    try:
        _mute()
        return "" if wandb.login(prompt=False, verify=False) else "no API key (`wandb login`)"
    except Exception as error:  # whatever it is: it is said, and the run goes on
        return _reason(error)


def _mute() -> None:
    # A run's own `silent` begins too late: looking for a key prints, and asks the server for the user's name.
    import wandb

    with of_our_own():
        wandb.setup(wandb.Settings(silent=True))


def _tear_down() -> None:
    """Frees the ids of runs that failed to start, and a service that died: the next run starts a new one."""
    import wandb

    with suppress(Exception, SystemExit):  # it exits where the service ended badly
        wandb.teardown()


def identity(run: RunInfo) -> str:
    """The run's id on wandb."""
    # The folder too: the same config in another study is another run.
    folder = hashlib.sha256(str(run.folder.resolve()).encode()).hexdigest()[:6]
    return f"{run.signature}-{folder}-{run.attempt}"


def _tell_offline(run: RunInfo, problem: str) -> None:
    if not _Process.told:
        _Process.told = True
        study = shlex.quote(str(run.folder.parent))
        _say(f"offline: {problem}. Upload later: wandb sync {study}/*/wandb/offline-run-*")


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _say(line: str) -> None:
    print(f"wandb: {visible(hide(line))}", file=sys.stderr, flush=True)
