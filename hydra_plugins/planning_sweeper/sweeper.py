"""Hydra looks for sweepers here; all but the plugin itself is in initbench/sweep/."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.local_launcher.launcher import LocalLauncher
from hydra_plugins.packed_launcher.launcher import PackedLauncher


class PlanningSweeper(BasicSweeper):
    """Hydra's grid of overrides; composes them quickly, and launches what has no finished record.

    Where the config has `tuning` or `until`, the grid comes in rounds: see initbench/sweep/rounds.py.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from initbench.sweep.compose import CachingConfigLoader

        # Launchers compose the jobs too, here or in their workers.
        self.loader = CachingConfigLoader(hydra_context.config_loader, config.hydra.searchpath)
        context = HydraContext(config_loader=self.loader, callbacks=hydra_context.callbacks)
        super().setup(hydra_context=context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        from initbench.sweep.dispatch import Planned, dispatch, say_what_can_be_shown
        from initbench.sweep.race import runs_per_round
        from initbench.sweep.rounds import rounds
        from initbench.sweep.start import check_values, launched

        assert self.config is not None
        assert self.launcher is not None
        own = [line for line in self._parse_config() if self.config.until is None or not line.startswith("seed=")]
        typed = [*own, *arguments]  # a race decides how many seeds there are, whatever a study's file says
        overrides = OverridesParser.create(config_loader=self.loader).parse_overrides(typed)
        check_values(overrides)
        (grid,) = self.split_arguments(overrides, None)
        self.loader.check_forced(self.config, grid)
        slots = len(self.launcher.environments) if isinstance(self.launcher, LocalLauncher) else 1
        round_size = runs_per_round(self.config.race, slots)
        if isinstance(self.launcher, PackedLauncher):
            self.launcher.expect(len(grid) if self.config.until is None else round_size)
            if not (self.config.dry_run or self._has_records()):
                self.launcher.warm_pool().start()  # its workers import torch while the runs are planned
        returns: list[Sequence[JobReturn]] = []
        planned = Planned()
        for jobs in rounds(self.loader, self.config, grid, planned, round_size):
            batches = list(self.split_overrides_to_chunks(jobs, self.max_batch_size))
            for todo in dispatch(self.loader, self.config, batches, planned):
                if not self.config.dry_run:
                    launched.append(len(todo))
                    returns.append(self.launcher.launch(todo, initial_job_idx=sum(map(len, returns))))
                elif isinstance(self.launcher, PackedLauncher):
                    self.launcher.say_how(todo)
        if isinstance(self.launcher, PackedLauncher):
            self.launcher.telling.add(planned.untold)
        if self.config.dry_run:
            say_what_can_be_shown(self.loader, self.config, grid)
        return returns

    def _has_records(self) -> bool:
        """Where there are none, all is to be done."""
        assert self.config is not None
        return any(Path(self.config.runs_dir, str(self.config.study)).glob("*/record.json"))
