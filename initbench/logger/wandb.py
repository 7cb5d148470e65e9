"""Weights & Biases as a mirror that can neither fail nor block a run.

The run's file is flushed every second, so that a killed process keeps its rows; without a key or a server the
run is written offline.
"""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from initbench.logger import RunInfo
from initbench.logger.mirror import Mirror, cut, identity, reason, say
from initbench.masking import hide_all
from initbench.schema.ranges import PositiveFloat
from initbench.wandb_client import of_our_own

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


class WandbMirror(Mirror):
    """A run of wandb, `started` offline or online."""

    service = "wandb"

    def __init__(self, run: RunInfo, started: "Run | None") -> None:
        super().__init__(run, started)
        self._run = started
        # Every row has trainer/global_step, as those of Lightning's own logger; it is the x axis.
        self._attempt(lambda: self.experiment.define_metric("trainer/global_step"))
        self._attempt(lambda: self.experiment.define_metric("*", step_metric="trainer/global_step", step_sync=True))

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        row = dict(metrics) if step is None else {**metrics, "trainer/global_step": step}
        self._attempt(lambda: self.experiment.log(row))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._attempt(lambda: self.experiment.config.update(dict(params), allow_val_change=True))

    def summarize(self, metrics: dict[str, Any]) -> None:
        """Writes the final numbers and words to the run's summary, where the dashboard's table has them."""
        self._attempt(lambda: self.experiment.summary.update(metrics))

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
                say("wandb", f"not all was uploaded ({reason(error)}). Upload the rest later: wandb sync {where}")


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
                    name=cut(run.name, _LONGEST_NAME),
                    group=cut(run.study, _LONGEST_NAME),
                    job_type=cut(os.environ.get("WANDB_JOB_TYPE", ""), _LONGEST_TAG) or None,
                    tags=list(dict.fromkeys(cut(tag, _LONGEST_TAG) for tag in run.tags if tag)),
                    config={cut(key, _LONGEST_KEY): value for key, value in run.flat_config.items()},
                    dir=run.folder,
                    resume="allow" if run.resumed else None,  # under an old id a fresh start doubles every step
                    reinit="create_new",  # the default hands back a run that is still open
                    **options,
                )
        except Exception as error:  # whatever the service dies of: the run goes on offline, or without
            problem = reason(error)
            _tear_down()
        if choice == "online":
            _Process.unreachable = True
            _tell_offline(run, problem)
    say("wandb", f"this run is not logged: {problem}")
    return None


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
        return reason(error)


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


def _tell_offline(run: RunInfo, problem: str) -> None:
    if not _Process.told:
        _Process.told = True
        study = shlex.quote(str(run.folder.parent))
        say("wandb", f"offline: {problem}. Upload later: wandb sync {study}/*/wandb/offline-run-*")
