"""What Hydra calls around a multirun, whatever launches the jobs."""

from typing import Any

from hydra.experimental.callback import Callback
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
