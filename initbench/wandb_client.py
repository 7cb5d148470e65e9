"""wandb's public API without prompts, minutes of waiting, or tracebacks: every failure is one line."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# By default wandb-core tries 20 times, up to a minute apart. Scans of a history have no other limit than these.
PATIENCE: dict[str, Any] = {
    "x_graphql_retry_max": 2,
    "x_graphql_retry_wait_min_seconds": 1.0,
    "x_graphql_retry_wait_max_seconds": 2.0,
    "x_graphql_timeout_seconds": 10.0,
}
# The defaults of wandb-core, which setting None does not restore.
_USUAL: dict[str, Any] = {
    "x_graphql_retry_max": 20,
    "x_graphql_retry_wait_min_seconds": 2.0,
    "x_graphql_retry_wait_max_seconds": 60.0,
    "x_graphql_timeout_seconds": 30.0,
}
_OF_AN_AGENT = (
    "WANDB_SWEEP_ID",
    "WANDB_SWEEP_PARAM_PATH",
    "WANDB_RUN_ID",
    "WANDB_RUN_GROUP",
    "WANDB_NAME",
    "WANDB_RESUME",
    "WANDB_LAUNCH",
    "WANDB_LAUNCH_CONFIG_PATH",
)
_REFUSALS = {
    401: "does not accept the API key (401): `wandb login --relogin`",
    403: "does not allow it (403): is the entity right, and may this key write to it or read it?",
    404: "has no such place (404): is WANDB_BASE_URL right?",
}


class Unavailable(ValueError):  # noqa: N818 - a state of the server, whatever the reason
    """wandb cannot be reached or read. The message is one line for the user: what is wrong, and the remedy."""


def split_path(path: str) -> tuple[str, str]:
    """Entity and project of "entity/project". Raises ValueError for anything else."""
    if not re.fullmatch(r"[\w.-]+/[^/\\#?%:\s][^/\\#?%:]*", path):
        raise ValueError(f"{path!r} is not a wandb project; give entity/project, such as my-team/initbench")
    entity, _, project = path.partition("/")
    return entity, project


@contextmanager
def of_our_own() -> Iterator[None]:
    """Inside, a run is begun under its own id, as outside of `wandb agent`.

    An agent names a run by the environment; all runs of this process, and of its workers, would write into that one.
    """
    taken = {name: os.environ.pop(name) for name in _OF_AN_AGENT if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


@contextmanager
def connected() -> Iterator[Any]:
    """A `wandb.Api` whose key the server accepts; wandb's exceptions inside become Unavailable.

    A server that does not answer costs about ten seconds, once.
    """
    import wandb

    mode = os.environ.get("WANDB_MODE", "online")
    if mode not in ("online", "shared"):
        raise Unavailable(f"WANDB_MODE={mode}: unset it")
    with of_our_own():
        before = wandb.setup(wandb.Settings(silent=True)).settings
    usual = {key: getattr(before, key) or value for key, value in _USUAL.items()}
    wandb.setup(wandb.Settings(**PATIENCE))
    try:
        if not wandb.login(prompt=False, verify=False):
            raise Unavailable("no API key: `wandb login`, or WANDB_API_KEY")
        yield wandb.Api(timeout=int(PATIENCE["x_graphql_timeout_seconds"]))
    except Unavailable:
        raise
    except Exception as error:  # wandb raises its own exceptions and those of requests; any others are raised again
        if not _is_of_wandb(error):
            raise
        raise Unavailable(reason(error)) from error
    finally:
        wandb.setup(wandb.Settings(**usual))


def reason(error: BaseException) -> str:
    """An exception of wandb as one line: what failed and, if there is one, the remedy."""
    import wandb

    server = wandb.setup().settings.base_url
    refusal = _REFUSALS.get(_status(error))
    if refusal:
        return f"{server} {refusal}"
    if "did not respond in time" in str(error):
        return f"{server} does not answer (no reply in time)"
    lines = [line.strip(" :") for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if "giving up" in lines[0]:  # the error of the last attempt is at the end of the last line
        last = lines[-1].rpartition(": ")[2]
        return f"{server} {'fails' if last.startswith('HTTP') else 'does not answer'} ({last})"
    return lines[0].rstrip(".")


def _status(error: BaseException | None) -> int:
    """The HTTP status behind an exception of wandb; 0 if there is none."""
    while error is not None:
        if status := getattr(getattr(error, "response", None), "http_status", 0):
            return int(status)
        error = error.__cause__
    return 0


def _is_of_wandb(error: Exception) -> bool:
    # Its exceptions have no common base, and a timeout is Python's own.
    return type(error).__module__.split(".")[0] == "wandb" or isinstance(error, TimeoutError)
