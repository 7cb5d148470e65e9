"""A program with jobs of every kind that a launcher has to live with; without torch, so that it starts quickly."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

print("imported", os.getpid(), flush=True)


class TwoArguments(Exception):  # noqa: N818 - a name for what is odd about it: pickle cannot load it again
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


class Unpicklable(Exception):  # noqa: N818 - likewise
    def __init__(self) -> None:
        super().__init__("with a generator")
        self.generator = (number for number in [])


class Stopped(BaseException):
    pass


JOBS: dict[str, Callable[[Path, dict[str, Any], DictConfig], Any]] = {}


def kind(job: Callable[..., Any]) -> Callable[..., Any]:
    JOBS[job.__name__.rstrip("_")] = job
    return job


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> Any:
    job = HydraConfig.get().job
    folder = Path(config.folder)
    started = dict(
        variable.split("=", 1) for variable in Path("/proc/self/environ").read_text().split("\0") if "=" in variable
    )
    seen = {
        "num": job.num,
        "id": job.id,
        "pid": os.getpid(),
        "argv": sys.argv,
        "output_dir": HydraConfig.get().runtime.output_dir,
        "from_config": os.environ["FROM_CONFIG"],
        "environment": {key: started.get(key) for key in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")},
    }
    note(folder / f"job{job.num}", json.dumps(seen))
    while len(list(folder.glob("job*"))) < config.together:
        time.sleep(0.01)
    return JOBS[config.how](folder, seen, config)


def note(path: Path, text: str) -> None:
    """Write all of it at once: somebody is waiting for the file."""
    path.with_name(f".{path.name}").write_text(text)
    path.with_name(f".{path.name}").rename(path)


@kind
def return_(folder: Path, seen: dict[str, Any], config: DictConfig) -> Any:
    return {**seen, "filling": "x" * config.size}


@kind
def raise_(*_: Any) -> None:
    raise ValueError("a job's own")


@kind
def two_arguments(*_: Any) -> None:
    raise TwoArguments("one", "two")


@kind
def raise_unpicklable(*_: Any) -> None:
    raise Unpicklable


@kind
def return_unpicklable(*_: Any) -> Any:
    return (number for number in [])


@kind
def exit_(*_: Any) -> None:
    sys.exit(0)


@kind
def exit_at_once(*_: Any) -> None:
    os._exit(7)


@kind
def kill(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@kind
def kill_parent_of_many(*_: Any) -> None:
    """Die with children that keep every file open which this process had open."""
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


@kind
def base_exception(*_: Any) -> None:
    raise Stopped("not a failure")


@kind
def sleep(folder: Path, seen: dict[str, Any], config: DictConfig) -> None:
    child = subprocess.Popen(["sleep", "600"])
    note(folder / f"child{seen['num']}", json.dumps({"pid": child.pid}))
    time.sleep(600)


@kind
def deaf(folder: Path, seen: dict[str, Any], config: DictConfig) -> None:
    """Take no notice of any signal."""
    _handle(folder, seen, lambda: None)
    sleep(folder, seen, config)


@kind
def stop(folder: Path, seen: dict[str, Any], config: DictConfig) -> None:
    """Save and end, as a training does: half a second after the signal."""
    _handle(folder, seen, lambda: time.sleep(0.5) or _raise(Stopped("saved")))
    time.sleep(600)


def _handle(folder: Path, seen: dict[str, Any], reaction: Any) -> None:
    def handler(signum: int, frame: Any) -> None:
        with (folder / f"signals{seen['num']}").open("a") as file:
            file.write(signal.Signals(signum).name + "\n")
        reaction()

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, handler)
    note(folder / f"ready{seen['num']}", "")


def _raise(error: BaseException) -> None:
    raise error


if __name__ == "__main__":
    main()
