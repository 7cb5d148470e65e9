"""The verdict in words: for each set of comparable initializers, for times to targets, for what is left out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from initbench.analysis.comparison.between_studies import between_studies, only_in_one, what_changed
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import LEVEL, Findings
from initbench.analysis.verdict.about_findings import Words
from initbench.analysis.verdict.sentence import Sentence, at_most, join
from initbench.analysis.workload.time_to_target import Times

_MOST_COMPARISONS = 3  # that are told in full; of others the first sentence
_MOST_LEFT_OUT = 6  # that are named
_MOST_WORKLOADS = 3  # whose times are


def sentences(comparison: Comparison) -> list[Sentence]:
    """The verdict; the first sentence answers the question."""
    changed = between_studies(comparison)
    if len(changed):
        found = [
            Sentence("change" if is_claim else "unchanged", text)
            for text, is_claim in what_changed(changed, comparison.metric)
        ]
        return [*found, *_named(only_in_one(comparison, changed))]
    if not comparison.findings:
        return [_nothing(comparison)]
    found = []
    for place, findings in enumerate(comparison.findings):
        own = [*_no_choice(comparison, findings)] or list(Words(findings, comparison).all())
        if len(comparison.findings) > 1:
            own[0] = replace(own[0], text=f"Compared on {_workloads(findings)}. {own[0].text}")
        found += own if place < _MOST_COMPARISONS else own[:1]
    return [*found, *_times(comparison), *_learned(comparison), *_named(comparison.left_out)]


def _nothing(comparison: Comparison) -> Sentence:
    inits = [str(init) for init in comparison.scores.columns]
    if not inits:
        return Sentence("nothing", "Nothing can be compared: no run has a score.")
    if len(inits) == 1:
        return Sentence("nothing", f"Nothing can be compared: {inits[0]} is the only initializer that has a score.")
    reason = "no two initializers have runs with the same seed on the same workload"
    return Sentence("nothing", f"Nothing can be compared: {reason}.")


def _no_choice(comparison: Comparison, findings: Findings) -> Iterator[Sentence]:
    if _all_failed(comparison, findings):
        inits = join(list(findings.overall.index), "or")
        yield Sentence("nothing", f"No run of {inits} learned anything: there is nothing to choose between them.")


def _all_failed(comparison: Comparison, findings: Findings) -> bool:
    """Whether no run learned anything; where that is not known, whether no run has a finite score."""
    is_known = comparison.metric.perfect is not None
    rankings = [ranking for ranking in comparison.rankings if ranking.workload in findings.workloads]
    tables = [ranking.table.loc[list(findings.scores.columns)] for ranking in rankings]
    failed = [table["learned"] == 0 if is_known else table["diverged"] == table["scored"] for table in tables]
    return all(bool(of.all()) for of in failed)


def _times(comparison: Comparison) -> Iterator[Sentence]:
    """Who is the fastest to the hardest target of each workload that is compared."""
    hardest = {(ranking.workload, ranking.target) for ranking in comparison.rankings}
    shown = [of for of in comparison.times if (of.workload, of.target) in hardest and len(of.table) > 1]
    compared = {workload for scope in comparison.scopes for workload in scope.workloads}
    shown = [of for of in shown if of.workload in compared]
    if len(shown) <= _MOST_WORKLOADS:
        for of in shown:
            yield _fastest(of, comparison, f" ({comparison.short_names[of.workload]})" if len(compared) > 1 else "")


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
        p = f"log-rank p {at_most(rest['p_first'].max())}{' for each' if len(rest) > 1 else ''}"
        return Sentence("fastest", f"{head}, faster than {which} ({p}, corrected for targets and workloads).")
    if len(beaten := rest.index[rest["is_slower"] & (rest["p"] < LEVEL)]):
        p = f"log-rank p {at_most(rest.loc[beaten, 'p'].max())}{' for each' if len(beaten) > 1 else ''}"
        corrected = "corrected for all pairs, targets and workloads"
        return Sentence("fastest", f"{head}, faster than {join(beaten)} ({p}, {corrected}).")
    others = [str(init) for init in table.index if init not in ties]
    than = others[0] if len(others) == 1 else "the others"
    unsure = f", but not significantly faster than {than}" if others else ""
    return Sentence("times", f"{head}{unsure}.")


def _learned(comparison: Comparison) -> Iterator[Sentence]:
    """Which initializers' runs learned nothing, and where it depended on the seed."""
    compared = {workload for scope in comparison.scopes for workload in scope.workloads}
    failed_altogether = [of.workloads for of in comparison.findings if _all_failed(comparison, of)]
    said = {workload for workloads in failed_altogether for workload in workloads}
    for ranking in comparison.rankings:
        if ranking.workload not in compared - said:
            continue
        where = f" ({comparison.short_names[ranking.workload]})" if len(compared) > 1 else ""
        table = ranking.table[ranking.table["scored"] > 0]
        mixed = table[(table["learned"] > 0) & (table["learned"] < table["scored"])]
        each = [f"{row['learned']:.0f} of {row['scored']:.0f} runs of {init}" for init, row in mixed.iterrows()]
        if ranking.of_records:
            if len(mixed):
                text = f"Whether a run learned anything depended on the seed: {join(each)} did{where}."
                yield Sentence("learned", text)
            if len(none := table.index[table["learned"] == 0]):
                which = "any initializer" if len(none) == len(table) else join(none, "or")
                yield Sentence("learned", f"No run of {which} learned anything{where}.")
        elif len(failed := table[table["diverged"] > 0]):
            each = [f"{row['diverged']:.0f} of {row['scored']:.0f} runs of {init}" for init, row in failed.iterrows()]
            yield Sentence(
                "learned", f"Runs without a finite score count as {ranking.failures_count_as}: {join(each)}{where}."
            )


def _named(left_out: Sequence[tuple[str, str]]) -> Iterator[Sentence]:
    if left_out:
        more = [f"{len(left_out) - _MOST_LEFT_OUT} more"] if len(left_out) > _MOST_LEFT_OUT else []
        each = [*(f"{name} ({reason})" for name, reason in left_out[:_MOST_LEFT_OUT]), *more]
        yield Sentence("left_out", f"Not compared: {'; '.join(each)}.")


def _workloads(findings: Findings) -> str:
    names = findings.workloads
    return names[0] if len(names) == 1 else f"{len(names)} workloads ({join(names, most=3)})"
