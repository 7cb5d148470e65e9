"""What models have learned of data that can be drawn: the outputs of each initializer's median run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from initbench.analysis.workload.ranking import Ranking
from initbench.record.damage import readable
from initbench.record.samples import read_outputs

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
    config: Mapping[str, Any] = runs["workload_config"].iloc[0] if len(runs) else {"data": {}}
    if config["data"].get("_target_") != _DRAWN or config.get("task", {}).get("_target_") == _AUTOENCODER:
        return None
    from initbench.data.drawing import drawing  # torch, which the report does without if there is nothing to draw

    drawn = drawing(config["data"])
    learned, missing = {}, []
    for init in map(str, ranking.table.index):
        of_init = runs[runs["init"] == init]
        outputs = readable(read_outputs, Path(median_run(of_init)["path"])) if len(of_init) else None
        values = None if outputs is None else drawn.learned(outputs)
        if values is None:
            missing.append(init)
        else:
            learned[init] = values
    return Fits(drawn, learned, missing) if learned else None


def median_run(runs: pd.DataFrame) -> pd.Series:
    """The run with the median score; of an even number, the worse of the two in the middle."""
    return runs.sort_values("score", kind="stable").iloc[(len(runs) - 1) // 2]
