"""The verdict: which sentences it has, and in which order."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from initbench.analysis.comparison.between_studies import between_studies, only_in_one
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.verdict.about_crossed import about_crossed
from initbench.analysis.verdict.about_findings import AboutFindings
from initbench.analysis.verdict.about_learning import about_learning, all_failed
from initbench.analysis.verdict.about_looks import about_looks
from initbench.analysis.verdict.about_noise import about_noise
from initbench.analysis.verdict.about_race import about_races
from initbench.analysis.verdict.about_studies import about_studies
from initbench.analysis.verdict.about_times import about_times
from initbench.analysis.verdict.sentence import Sentence, join

_MOST_COMPARISONS = 3  # with all of their sentences; any others have their first one only
_MOST_LEFT_OUT = 6  # that are named


def sentences(comparison: Comparison) -> list[Sentence]:
    """The verdict; the first sentence answers the question."""
    changed = between_studies(comparison)
    if len(changed):
        return [*about_studies(changed, comparison.metric), *_left_out(only_in_one(comparison, changed))]
    found: list[Sentence] = []
    if comparison.races:
        return [*about_races(comparison), *about_looks(comparison), *about_learning(comparison)]
    if not comparison.findings and not comparison.crossed:
        return [_nothing(comparison)]
    for place, (findings, more) in enumerate(zip(comparison.findings, comparison.more_seeds, strict=True)):
        if all_failed(comparison, findings):
            inits = join(list(findings.overall.index), "or")
            text = f"No run of {inits} learned anything: there is nothing to choose between them."
            own = [Sentence("nothing", text)]
        else:
            own = list(AboutFindings(findings, more, comparison).all())
        if len(comparison.findings) > 1:
            own[0] = replace(own[0], text=f"Compared on {_workloads(findings)}. {own[0].text}")
        found += own if place < _MOST_COMPARISONS else own[:1]
    found += [*about_looks(comparison), *about_times(comparison), *about_learning(comparison)]
    return [*found, *about_noise(comparison), *about_crossed(comparison), *_left_out(comparison.left_out)]


def _nothing(comparison: Comparison) -> Sentence:
    inits = [str(init) for init in comparison.scores.columns]
    if not inits:
        return Sentence("nothing", "Nothing can be compared: no run has a score.")
    if len(inits) == 1:
        return Sentence("nothing", f"Nothing can be compared: {inits[0]} is the only initializer that has a score.")
    reason = "no two initializers have runs with the same seed on the same workload"
    return Sentence("nothing", f"Nothing can be compared: {reason}.")


def _left_out(left_out: Sequence[tuple[str, str]]) -> Iterator[Sentence]:
    if left_out:
        more = [f"{len(left_out) - _MOST_LEFT_OUT} more"] if len(left_out) > _MOST_LEFT_OUT else []
        each = [*(f"{name} ({reason})" for name, reason in left_out[:_MOST_LEFT_OUT]), *more]
        yield Sentence("left_out", f"Not compared: {'; '.join(each)}.")


def _workloads(findings: Findings) -> str:
    names = findings.workloads
    return names[0] if len(names) == 1 else f"{len(names)} workloads ({join(names, most=3)})"
