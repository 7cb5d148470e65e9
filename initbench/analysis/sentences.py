"""The verdict in words: for each set of comparable initializers, for times to targets, for what is left out."""

import math
from collections.abc import Iterator
from dataclasses import replace

from initbench.analysis.between_studies import between_studies, compared
from initbench.analysis.comparison import Comparison
from initbench.analysis.findings import LEVEL, Findings
from initbench.analysis.prose import Sentence, join
from initbench.analysis.times import Times
from initbench.analysis.words import Words

_MOST_COMPARISONS = 3  # that are told in words; a page has all
_MOST_WORKLOADS = 3  # whose times are


def sentences(comparison: Comparison) -> list[Sentence]:
    """The verdict; the first sentence answers the question."""
    changed = between_studies(comparison)
    if len(changed):
        return [
            Sentence("change" if is_claim else "unchanged", text)
            for text, is_claim in compared(changed, comparison.metric)
        ]
    if not comparison.findings:
        return [_nothing(comparison)]
    found: list[Sentence] = []
    for findings in comparison.findings[:_MOST_COMPARISONS]:
        own = list(Words(findings, comparison).all())
        if len(comparison.findings) > 1:
            own[0] = replace(own[0], text=f"Compared on {_workloads(findings)}. {own[0].text}")
        found += own
    return [*found, *_times(comparison), *_learned(comparison), *_left_out(comparison)]


def _nothing(comparison: Comparison) -> Sentence:
    inits = [str(init) for init in comparison.scores.columns]
    if not inits:
        return Sentence("nothing", "Nothing can be compared: no run has a score.")
    if len(inits) == 1:
        return Sentence("nothing", f"Nothing can be compared: {inits[0]} is the only initializer that has a score.")
    reason = "no two initializers have runs with the same seed on the same workload"
    return Sentence("nothing", f"Nothing can be compared: {reason}.")


def _times(comparison: Comparison) -> Iterator[Sentence]:
    """Who is the fastest to the hardest target of each workload that is compared."""
    hardest = {(ranking.workload, ranking.target) for ranking in comparison.rankings}
    shown = [of for of in comparison.times if (of.workload, of.target) in hardest and len(of.table) > 1]
    compared = {workload for scope in comparison.scopes for workload in scope.workloads}
    shown = [of for of in shown if of.workload in compared]
    if len(shown) <= _MOST_WORKLOADS:
        for of in shown:
            yield _fastest(of, comparison, f" ({of.workload})" if len(compared) > 1 else "")


def _fastest(times: Times, comparison: Comparison, where: str) -> Sentence:
    table = times.table
    first, rest = table.iloc[0], table.iloc[1:]
    ties = table.index[(table[["mean_steps", "median_steps"]] == first[["mean_steps", "median_steps"]]).all(axis=1)]
    goal = f"{comparison.metric.target(times.target)} validation {comparison.metric.name}"
    median, after = first["median_steps"], first["median_after"]
    if math.isinf(median):
        when = f"fewer than half of {'its' if len(ties) == 1 else 'their'} runs reached it"
    else:
        when = f"median {'' if math.isnan(after) else f'between {after:.0f} and '}{median:.0f} steps"
    head = f"Fastest to {goal}{where}: {join(ties, most=4)} ({when})"
    if (rest["is_slower"] & (rest["p_first"] < LEVEL)).all():
        which = str(rest.index[0]) if len(rest) == 1 else "every other initializer"
        return Sentence("fastest", f"{head}, faster than {which} (log-rank, corrected p < {LEVEL:g}).")
    if len(beaten := rest.index[rest["is_slower"] & (rest["p"] < LEVEL)]):
        return Sentence("fastest", f"{head}, faster than {join(beaten)} (log-rank, corrected p < {LEVEL:g}).")
    unsure = "" if len(ties) == len(table) else ", but not significantly faster than the others"
    return Sentence("times", f"{head}{unsure}.")


def _learned(comparison: Comparison) -> Iterator[Sentence]:
    """Where some runs of an initializer learned something, and others did not."""
    compared = {workload for scope in comparison.scopes for workload in scope.workloads}
    for ranking in comparison.rankings:
        table = ranking.table
        mixed = table[(table["learned"] > 0) & (table["learned"] < table["scored"])]
        if len(mixed) and ranking.workload in compared:
            each = [f"{row['learned']:.0f} of {row['scored']:.0f} runs of {init}" for init, row in mixed.iterrows()]
            where = f" ({ranking.workload})" if len(compared) > 1 else ""
            yield Sentence("learned", f"Whether a run learned anything depended on the seed: {join(each)} did{where}.")


def _left_out(comparison: Comparison) -> Iterator[Sentence]:
    if left_out := comparison.left_out:
        each = [f"{name} ({reason})" for name, reason in left_out]
        yield Sentence("left_out", f"Not compared: {join(each, most=6)}.")


def _workloads(findings: Findings) -> str:
    names = findings.workloads
    return names[0] if len(names) == 1 else f"{len(names)} workloads ({join(names, most=3)})"
