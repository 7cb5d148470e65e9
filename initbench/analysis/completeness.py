"""What is wrong with a set of runs: what is missing or failed, what makes a comparison weaker than it looks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from initbench.analysis.ranking import Ranking

_UNENDED = ("failed", "interrupted", "running")


@dataclass(frozen=True)
class Problem:
    kind: str  # missing, unended, refused, diverged, seeds, edge, machines, twice
    text: str
    is_serious: bool  # the comparison is not the one that was planned


def problems(runs: pd.DataFrame, rankings: Sequence[Ranking]) -> list[Problem]:
    """All that a reader has to know before believing a table, the serious first."""
    found = [
        *_unended(runs),
        *_missing(runs, rankings),
        *_seeds(rankings),
        *_refused(runs, rankings),
        *_diverged(rankings),
        *_edges(rankings),
        *_machines(runs),
        *_twice(runs),
    ]
    return sorted(found, key=lambda problem: not problem.is_serious)


def _unended(runs: pd.DataFrame) -> Iterator[Problem]:
    for status in _UNENDED:
        if number := int((runs["status"] == status).sum()):
            yield Problem("unended", f"{_count(number, 'run')} {status}, and not part of any number here.", True)


def _missing(runs: pd.DataFrame, rankings: Sequence[Ranking]) -> Iterator[Problem]:
    everywhere = list(dict.fromkeys(runs["init"]))
    for ranking in rankings:
        asked = ranking.scored[ranking.scored["status"] != "refused"]
        ended = asked[asked["score"].notna()]
        refused = set(ranking.scored["init"]) - set(asked["init"])
        if absent := [init for init in everywhere if init not in {*ended["init"], *refused}]:
            yield Problem("missing", f"{ranking.title}: no scored run of {_list(absent)}.", True)
        union = set(asked["seed"])
        for init, has in ((init, set(group["seed"])) for init, group in ended.groupby("init")):
            if lacking := sorted(union - has):
                text = f"{ranking.title}: {init} has {len(has)} of {len(union)} seeds (not {_list(lacking)})."
                yield Problem("missing", text, True)


def _seeds(rankings: Sequence[Ranking]) -> Iterator[Problem]:
    for ranking in rankings:
        ended = ranking.scored[ranking.scored["score"].notna()]
        if len(ended) and ended.groupby("init")["seed"].nunique().max() == 1:
            yield Problem("seeds", f"{ranking.title}: one seed, so that nothing says how sure any of it is.", True)


def _refused(runs: pd.DataFrame, rankings: Sequence[Ranking]) -> Iterator[Problem]:
    named = {ranking.task: ranking.title for ranking in rankings}
    refused = runs[runs["status"] == "refused"]
    for (task, reason), group in refused.groupby(["task", "reason"], sort=False):
        yield Problem("refused", f"{named[str(task)]}: {_list(group['init'].unique())} refused: {reason}", False)


def _diverged(rankings: Sequence[Ranking]) -> Iterator[Problem]:
    for ranking in rankings:
        rows = ranking.table[ranking.table["diverged"] > 0]
        if len(rows):
            each = [f"{init} {row['diverged']:.0f} of {row['runs']:.0f}" for init, row in rows.iterrows()]
            text = f"{ranking.title}: diverged runs, which score chance: {_list(each)}."
            yield Problem("diverged", text, False)


def _edges(rankings: Sequence[Ranking]) -> Iterator[Problem]:
    for ranking in rankings:
        if edges := [f"{choice.init} ({choice.lr:g})" for choice in ranking.choices if choice.at_edge]:
            where = f"{ranking.title}: the best learning rate is at an edge of what was tried"
            text = f"{where}, for {_list(edges)}; a wider grid may help these."
            yield Problem("edge", text, False)


def _machines(runs: pd.DataFrame) -> Iterator[Problem]:
    ended = runs[runs["score"].notna()]
    for column, name, consequence in (
        ("processor", "processors", "seconds cannot be compared, and bits may differ"),
        ("device", "kinds of device", "seconds cannot be compared, and bits may differ"),
        ("replicas", "sizes of pack", "seconds cannot be compared, and sums are rounded in another order"),
        ("torch", "versions of torch", "numbers may differ by more than the initializer"),
        (
            "commit",
            "commits of the working directory",
            "if the code of model or initializer changed, use another study",
        ),
    ):
        values = sorted(map(str, ended[column].dropna().unique()))
        if len(values) > 1:
            yield Problem(
                "machines", f"{len(values)} {name} ({_list([v[:40] for v in values])}): {consequence}.", False
            )


def _twice(runs: pd.DataFrame) -> Iterator[Problem]:
    if number := int(runs.duplicated(["task", "init", "seed", "lr"]).sum()):
        text = f"{_count(number, 'run')} there twice, of the same config and seed: one of each counts."
        yield Problem("twice", text, False)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _list(items: Sequence[object], most: int = 8) -> str:
    shown = ", ".join(map(str, items[:most]))
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
