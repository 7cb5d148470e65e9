"""A sweeper that writes down what its launcher returned, instead of raising the first failure."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus


@dataclass
class CollectingSweeperConf:
    _target_: str = "hydra_plugins.collecting_sweeper.CollectingSweeper"
    max_batch_size: int | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="collecting", node=CollectingSweeperConf)


class CollectingSweeper(BasicSweeper):
    def sweep(self, arguments: list[str]) -> None:
        overrides = OverridesParser.create().parse_overrides(arguments)
        returns: list[JobReturn] = []
        folder = Path(self.config.folder)
        for batch in self.split_arguments(overrides, self.max_batch_size):
            returns += self.launcher.launch(batch, initial_job_idx=len(returns))
            (folder / f"launched{len(returns)}").touch()
            while (folder / "hold").exists():
                time.sleep(0.01)
        (folder / "returns.json").write_text(json.dumps([as_json(result) for result in returns]))


def as_json(result: JobReturn) -> dict[str, Any]:
    value = result._return_value
    failed = result.status is JobStatus.FAILED
    return {
        "status": result.status.name,
        "overrides": list(result.overrides or []),
        "value": f"{type(value).__name__}: {value}" if failed else value,
        "notes": getattr(value, "__notes__", []),
    }
