"""A callback that notes in which process Hydra called it, and what it was told."""

import os
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class Noting(Callback):
    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._note(config, f"start {os.getpid()}")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        self._note(config, f"end {os.getpid()} {job_return.status.name}")

    def _note(self, config: DictConfig, text: str) -> None:
        with (Path(config.folder) / f"callback{config.hydra.job.num}").open("a") as file:
            file.write(text + "\n")
