"""TensorBoard event files in `<run folder>/tensorboard`."""

import shutil
from importlib.util import find_spec
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger

from initbench.logger import Opening, RunInfo
from initbench.logger.rank import write_here


def event_files() -> Opening:
    """A TensorBoardLogger in a fixed place. A resumed run keeps its events, a fresh attempt drops them."""
    if find_spec("tensorboard") is None:
        raise ValueError("logger=tensorboard needs TensorBoard: pip install 'initbench[tensorboard]'")
    return lambda run: [EventFiles(run)]


class EventFiles(TensorBoardLogger):
    """A TensorBoardLogger that shows the config beside the final numbers in the HParams tab."""

    def __init__(self, run: RunInfo) -> None:
        write_here()
        # Flushed every 5 s instead of 120: a killed run keeps the rest.
        super().__init__(run.folder, name="tensorboard", version="", default_hp_metric=False, flush_secs=5)
        self._config = run.flat_config
        if not run.resumed:
            shutil.rmtree(self.log_dir, ignore_errors=True)

    def summarize(self, metrics: dict[str, Any]) -> None:
        """Writes the numbers among `metrics`; TensorBoard's HParams tab has no place for words."""
        self.log_hyperparams(self._config, {k: v for k, v in metrics.items() if isinstance(v, int | float)})
