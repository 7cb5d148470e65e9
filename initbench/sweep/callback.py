"""What Hydra calls around a multirun, whatever launches the jobs."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig


class SweepCallback(Callback):
    """Hydra makes one for a single run, too, which must not pay for what a sweep imports."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        from initbench.sweep.start import start

        self.sweep = start(config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        from initbench.sweep.summary import end

        if not config.dry_run:
            end(config, self.sweep)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Mask the secrets in Hydra's own copies of the config: `.hydra` where it is asked for, and multirun.yaml."""
        from initbench.masking import hide
        from initbench.record.store import atomic_write

        hydra = config.hydra
        copies = []
        if hydra.mode is RunMode.MULTIRUN:
            copies += [Path(str(hydra.sweep.dir), "multirun.yaml")]  # of every sweeper but `planning`
        if hydra.output_subdir is not None:
            copies += Path(hydra.runtime.output_dir, hydra.output_subdir).glob("*.yaml")
        for path in filter(Path.is_file, copies):
            text = path.read_text("utf-8")
            if (masked := hide(text)) != text:
                atomic_write(path, masked.encode())
