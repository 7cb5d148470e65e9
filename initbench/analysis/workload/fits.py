"""What models have learned of data that can be drawn: the outputs of each initializer's median run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from initbench.analysis.workload.ranking import Ranking
from initbench.record.damage import readable
from initbench.record.samples import read_outputs
from initbench.record.signature import seeds_apart
from initbench.record.store import read_record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from initbench.data.drawing import Drawing

_DRAWN = "initbench.data.curves"
_AUTOENCODER = "initbench.task.Autoencoder"  # predicts the inputs, so that its outputs are no function of them to draw


@dataclass(frozen=True)
class Fits:
    """What the median runs of a workload have learned, at the test points of its data.

    learned: (N,) by initializer, best first: the values they predict, or the probabilities of the second class.
    missing: the initializers whose median run has no outputs: it diverged, or its file is missing or damaged.
    """

    drawing: "Drawing"
    learned: Mapping[str, "NDArray[Any]"]
    missing: list[str]


def fits(ranking: Ranking) -> Fits | None:
    """None if the data of the workload cannot be drawn, or no median run has outputs."""
    runs = ranking.scored[ranking.scored["score"].notna() & ranking.scored["path"].notna()]
    if runs.empty or not _can_be_drawn(runs["workload_config"].iloc[0]):
        return None
    medians = {str(init): Path(median_run(of_init)["path"]) for init, of_init in runs.groupby("init")}
    found = {init: _read(medians[init]) if init in medians else None for init in map(str, ranking.table.index)}
    drawn = {init: fit for init, fit in found.items() if fit is not None}
    if not drawn:
        return None
    drawing, _ = next(iter(drawn.values()))
    learned = {init: values for init, (_, values) in drawn.items()}
    return Fits(drawing, learned, [init for init, fit in found.items() if fit is None])


def median_run(runs: pd.DataFrame) -> pd.Series:
    """The run with the median score; of an even number, the worse of the two in the middle."""
    return runs.sort_values("score", kind="stable").iloc[(len(runs) - 1) // 2]


def _can_be_drawn(config: Mapping[str, Any]) -> bool:
    return config["data"].get("_target_") == _DRAWN and config.get("task", {}).get("_target_") != _AUTOENCODER


def _read(folder: Path) -> "tuple[Drawing, NDArray[Any]] | None":
    """The drawing for a run, and what the run has learned; None if it kept no outputs that can be drawn."""
    record, outputs = readable(read_record, folder), readable(read_outputs, folder)
    if record is None or outputs is None:
        return None
    from initbench.data.drawing import drawing  # torch, which the report does without if there is nothing to draw

    drawn = drawing(record["config"]["data"], seeds_apart(record["config"]).get("split"))
    learned = drawn.learned(outputs)
    return None if learned is None else (drawn, learned)
