"""The runs of an attribution, read from their records: scores by seed and arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.frame import judged_by, load_runs
from initbench.attribution.design import Design
from initbench.metric import Metric
from initbench.record.damage import readable
from initbench.record.store import COMPLETE, read_record
from initbench.status.study import Study


@dataclass(frozen=True)
class Runs:
    """What became of the runs that the latest sweep of a study planned.

    scores: higher is better; a row for each seed, a column for each arm of the design, NaN where a run has no score.
    level: halved for each further look at a study to which seeds were added, as for verdicts. without: why runs have no
    score, and how many. left_to_a: in how many parts the initializers differ that are not among those of the design.
    """

    scores: pd.DataFrame
    metric: Metric
    level: float
    without: Mapping[str, int]
    left_to_a: int


def read_runs(study: Path, design: Design) -> Runs:
    """The runs in the folder of a study. Raises ValueError if its latest sweep was no attribution by this design."""
    runs = load_runs(study)
    plan = Study(study).plan()
    planned = frozenset() if plan is None else plan.runs
    own = runs[[Path(path).name in planned for path in runs["path"]]]
    records = [readable(read_record, Path(path)) or {} for path in own["path"]]
    drawn = [tuple(record.get("config", {}).get("init", {}).get("from_b", ("?",))) for record in records]
    if len(own) == 0 or not {*drawn} <= {*design.arms}:
        raise ValueError(f"the latest sweep of {study} has other runs than this attribution: type its command again")
    if own["workload_id"].nunique() > 1 or own["lr"].nunique() > 1:
        raise ValueError("attribution is for one workload and one learning rate: choose another study for each")
    places = [design.arms.index(parts) for parts in drawn]
    scores = own.assign(arm=places).set_index(["seed", "arm"])["score"].unstack()
    without = own.loc[~own["status"].isin(COMPLETE), "status"].value_counts().to_dict()
    left = [record.get("init_numbers", {}).get("parts_left_to_a", 0) for record in records]
    return Runs(
        scores.reindex(columns=range(len(design.arms))),
        judged_by(own),
        Comparison(runs, judged_by(runs)).level,
        without | ({"never started": len(planned) - len(own)} if len(planned) > len(own) else {}),
        int(max(left)),
    )
