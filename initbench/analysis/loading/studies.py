"""The runs of one study, or of several that are compared with each other."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from initbench.analysis.loading.frame import judged, load_runs
from initbench.analysis.loading.workload_names import name_workloads

AT = " @ "  # between an initializer and its study, if several studies have it


def load_studies(studies: Sequence[Path]) -> pd.DataFrame:
    """The runs of one study or several.

    An initializer that several studies ran on the same workload becomes one per study: `orthogonal @ new`. Raises
    ValueError for a folder that is missing or has no records of its own.
    """
    frames = []
    for study, name in zip(studies, study_names(studies), strict=True):
        runs = load_runs(study)
        inside = sorted({str(Path(path).parent) for path in runs["path"]} - {str(study)})
        if runs.empty or inside:
            what = (
                f"is not a study; these folders in it are: {', '.join(inside[:5])}"
                if inside
                else "has no records of runs" + (" that can be read" if runs.attrs["unreadable"] else "")
            )
            raise ValueError(f"{study} {what}")
        frames.append(runs.assign(study=name, recorded_study=runs["study"]))
    runs = name_workloads(judged(pd.concat(frames, ignore_index=True))) if len(frames) > 1 else frames[0]
    shared = runs.groupby(["workload_id", "init"])["study"].transform("nunique") > 1
    of_both = runs["init"].isin(runs.loc[shared, "init"])
    runs = runs.assign(init=runs["init"].where(~of_both, runs["init"] + AT + runs["study"]))
    runs.attrs["unreadable"] = [message for frame in frames for message in frame.attrs["unreadable"]]
    return runs


def study_names(studies: Sequence[Path]) -> list[str]:
    """Names for studies: their folders, with as many of the folders above as it takes to tell them apart.

    Raises ValueError for a study that is named twice.
    """
    paths = [study.resolve() for study in studies]
    if twice := [path for at, path in enumerate(paths) if path in paths[:at]]:
        raise ValueError(f"{twice[0]} is named twice")
    longest = max(len(path.parts) for path in paths)
    names = (["/".join(path.parts[-depth:]) for path in paths] for depth in range(1, longest + 1))
    return next(of for of in names if len(set(of)) == len(of))
