"""What is wrong with a set of runs: what is missing or failed, what makes a comparison weaker than it looks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from initbench.analysis.workload.ranking import Ranking
from initbench.record.plans import Plan
from initbench.wording import count, visible

_UNENDED = {
    "failed": "failed and {is_} excluded",
    "interrupted": "{was} interrupted and {is_} excluded",
    "running": "{is_} not finished yet and {is_} excluded",
}
_LENGTHS = {"commit": 10}  # characters that are shown of a value


@dataclass(frozen=True)
class Problem:
    """Something that a reader has to know about the runs, as a sentence."""

    kind: str  # unreadable, missing, unended, refused, diverged, seeds, edge, machines, twice, plan
    text: str
    is_serious: bool  # the comparison is not the one that was planned


def problems(runs: pd.DataFrame, rankings: Sequence[Ranking]) -> list[Problem]:
    """Everything that a reader has to know before believing a table, the serious first."""
    plans: Sequence[Plan] = runs.attrs.get("plans", ())
    found = [
        *_unreadable(runs),
        *_unended(runs),
        *_missing(rankings, is_race=bool(plans) and plans[-1].race is not None),
        *_seeds(rankings),
        *_refused(runs),
        *_diverged(rankings),
        *_edges(rankings),
        *_machines(runs),
        *_twice(runs),
        *_plans(plans),
    ]
    return sorted(found, key=lambda problem: not problem.is_serious)


def _unreadable(runs: pd.DataFrame) -> Iterator[Problem]:
    if left_out := runs.attrs.get("unreadable"):
        what = "run is excluded because its record" if len(left_out) == 1 else "runs are excluded because their records"
        yield Problem("unreadable", visible(f"{len(left_out)} {what} cannot be read. {_list(left_out, most=3)}."), True)


def _unended(runs: pd.DataFrame) -> Iterator[Problem]:
    for status, text in _UNENDED.items():
        if number := int((runs["status"] == status).sum()):
            what = text.format(is_="is" if number == 1 else "are", was="was" if number == 1 else "were")
            yield Problem("unended", f"{count(number, 'run')} {what}.", True)


def _missing(rankings: Sequence[Ranking], is_race: bool) -> Iterator[Problem]:
    for ranking in rankings:
        asked = ranking.scored[(ranking.scored["status"] != "refused") & ~ranking.scored["is_tuning"]]
        ended = asked[asked["score"].notna()]
        if absent := sorted(set(asked["init"]) - set(ended["init"])):
            yield Problem("missing", f"{ranking.workload}: no run of {_list(absent)} has a score.", True)
        union = set(asked["seed"])
        for init, has in ((init, set(group["seed"])) for init, group in ended.groupby("init")):
            if (lacking := sorted(union - has)) and not is_race:  # of which some have fewer seeds by design
                text = f"{ranking.workload}: {init} has {len(has)} of {len(union)} seeds (missing: {_list(lacking)})."
                yield Problem("missing", text, False)  # failed and interrupted runs have a serious problem of their own


def _seeds(rankings: Sequence[Ranking]) -> Iterator[Problem]:
    for ranking in rankings:
        ended = ranking.scored[ranking.scored["score"].notna()]
        if ended["init"].nunique() > 1 and ended.groupby("init")["seed"].nunique().max() == 1:
            yield Problem(
                "seeds", f"{ranking.workload}: with a single seed, nothing can be said about uncertainty.", True
            )


def _refused(runs: pd.DataFrame) -> Iterator[Problem]:
    refused = runs[runs["status"] == "refused"]
    for (workload, reason), group in refused.groupby(["workload", "reason"], sort=False):
        inits = group["init"].unique()
        was = "was" if len(inits) == 1 else "were"
        yield Problem("refused", f"{workload}: {_list(inits)} {was} refused: {reason}", False)


def _diverged(rankings: Sequence[Ranking]) -> Iterator[Problem]:
    for ranking in rankings:
        rows = ranking.table[ranking.table["diverged"] > 0]
        if len(rows):
            each = [f"{init} {row['diverged']:.0f} of {row['runs']:.0f}" for init, row in rows.iterrows()]
            what = "runs that diverged" if ranking.of_records else "runs without a finite score"
            text = f"{ranking.workload}: {what} count as {ranking.failures_count_as}: {_list(each)}."
            yield Problem("diverged", text, False)


def _edges(rankings: Sequence[Ranking]) -> Iterator[Problem]:
    for ranking in rankings:
        if edges := [f"{choice.init} ({choice.lr:g})" for choice in ranking.choices if choice.at_edge]:
            text = f"the best learning rate is at the edge of the grid for {_list(edges)}"
            yield Problem("edge", f"{ranking.workload}: {text}; a wider grid may improve the score.", False)


def _machines(runs: pd.DataFrame) -> Iterator[Problem]:
    ended = runs[runs["score"].notna()]
    if ended["replicas"].nunique() > 1:
        few, most = int(ended["replicas"].min()), int(ended["replicas"].max())
        text = f"Runs were trained in groups of {few} to {most}, so their wall-clock times are not comparable."
        yield Problem("machines", text, False)
    for column, name, consequence in (
        ("processor", "processors", "wall-clock times are not comparable, and results may differ in the last digits"),
        ("device", "kinds of device", "wall-clock times are not comparable, and results may differ in the last digits"),
        ("torch", "versions of torch", "results may differ by more than the initializer"),
        (
            "commit",
            "commits of the working directory",
            "if a model or an initializer changed between them, put the runs into separate studies",
        ),
    ):
        values = sorted(map(str, ended[column].dropna().unique()))
        if len(values) > 1:
            shown = _list([value[: _LENGTHS.get(column, 40)] for value in values])
            text = f"Runs come from {len(values)} {name} ({shown}): {consequence}."
            yield Problem("machines", text, False)


def _twice(runs: pd.DataFrame) -> Iterator[Problem]:
    if number := int(runs.duplicated(["workload", "init", "seed", "lr"]).sum()):
        what = "run is a duplicate" if number == 1 else "runs are duplicates"
        yield Problem("twice", f"{number} {what} (same config and seed); only one of each counts.", False)


def _plans(plans: Sequence[Plan]) -> Iterator[Problem]:
    """What was planned anew after results had been seen."""
    ordered = sorted(plans, key=lambda plan: plan.runs_before)
    for number, (before, after) in enumerate(pairwise(ordered), start=1):
        changes = []
        for key, name in (("inits", "initializers"), ("workloads", "workloads"), ("seeds", "seeds")):
            old = {of for plan in ordered[:number] for of in getattr(plan, key)}
            if added := [of for of in getattr(after, key) if of not in old]:
                what = _list(added) if key != "workloads" else str(len(added))
                changes.append(f"{name} added: {what}")
        for key in ("margin", "reference", "targets", "race"):
            if getattr(before, key) != getattr(after, key):
                changes.append(f"{'race rules' if key == 'race' else key} changed")
        if changes:
            text = f"The plan was changed after {count(after.runs_before, 'run')} of the study: {'; '.join(changes)}."
            yield Problem("plan", text, False)


def _list(items: Sequence[object], most: int = 8) -> str:
    shown = ", ".join(map(str, items[:most]))
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
