"""Where the config tree is: each file `conf/<group>/<name>.yaml` is one choice, known by its name."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries the config tree inside the package; a checkout has it beside the package.
CONF = next(path for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if (path / "config.yaml").exists())

# The task in which a LightningModule of the user's own takes the place of model, data, optimizer and scheduler.
LIGHTNING_TASK = "initbench.task.LightningTask"
