"""Tasks: what a model learns from a dataset, how wrong it is, and by what metric runs are judged."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initbench import lazy
from initbench.schema import target

__all__ = ["Autoencoder", "Classification", "LanguageModel", "LightningTask", "Regression", "Task", "build"]

if TYPE_CHECKING:
    from initbench.sizes import Sizes
    from initbench.task.autoencoder import Autoencoder
    from initbench.task.base import Task
    from initbench.task.classification import Classification
    from initbench.task.language_model import LanguageModel
    from initbench.task.lightning import LightningTask
    from initbench.task.regression import Regression

__getattr__ = lazy.attributes(
    __name__,
    {
        "Autoencoder": "initbench.task.autoencoder",
        "Classification": "initbench.task.classification",
        "LanguageModel": "initbench.task.language_model",
        "LightningTask": "initbench.task.lightning",
        "Regression": "initbench.task.regression",
        "Task": "initbench.task.base",
    },
)


def build(node: Mapping[str, Any], sizes: "Sizes") -> "Task":
    """The task of a config (a composed file of conf/task/) on data of these sizes.

    Raises ValueError for arguments that the task does not take, for data that it cannot be learned from, and for a
    class of the user's own that lacks something.
    """
    from initbench.task.base import Task

    task = target.call("task", node, sizes)
    if not isinstance(task, Task):
        raise ValueError(f"task._target_={node['_target_']!r} made a {type(task).__name__}, not an initbench.task.Task")
    if missing := [name for name in ("metric", "chance_loss", "outputs", "given") if not hasattr(task, name)]:
        raise ValueError(f"task._target_={node['_target_']!r} made a task without {', '.join(missing)}")
    if task.metric.name != "loss" and type(task).measure is Task.measure:
        raise ValueError(
            f"task._target_={node['_target_']!r} is judged by {task.metric.name} and needs a method measure"
        )
    return task
