"""Whether the best initializer differs between workloads, in sentences."""

from collections.abc import Iterator, Mapping, Sequence

from initbench.analysis.comparison.findings import Findings
from initbench.analysis.verdict.sentence import Sentence, join, p_value

_MOST = 6  # workloads that are named


def depends_on_workload(found: Findings) -> bool:
    """Whether it is shown that no initializer is the best in every workload."""
    return found.differs_between_workloads < found.level


def about_dependence(found: Findings, short_names: Mapping[str, str]) -> Iterator[Sentence]:
    """The claim that the best initializer depends on the workload, if that is shown; short_names: by workload."""
    if depends_on_workload(found):
        p = p_value(found.differs_between_workloads)
        best = _best_by_workload(found, short_names)
        yield Sentence("differs", f"Which initializer is best depends on the workload (p = {p}). Best mean: {best}.")


def about_order(found: Findings, short_names: Mapping[str, str]) -> Iterator[Sentence]:
    """The fact that the best mean differs between workloads, if that is not shown to be more than chance."""
    if len(set(found.best_by_workload.values())) > 1 and not depends_on_workload(found):
        why = (
            "which chance alone could explain"
            if found.can_tell_workloads_apart
            else "but there are too few seeds to tell that from chance"
        )
        best = _best_by_workload(found, short_names)
        yield Sentence("order", f"Different initializers have the best mean on different workloads, {why}: {best}.")


def _best_by_workload(found: Findings, short_names: Mapping[str, str]) -> str:
    workloads: dict[str, list[str]] = {}
    for workload, init in found.best_by_workload.items():
        workloads.setdefault(init, []).append(short_names[workload])
    return join([f"{init} ({_named(names)})" for init, names in workloads.items()], most=_MOST)


def _named(workloads: Sequence[str]) -> str:
    more = [f"{len(workloads) - _MOST} more"] if len(workloads) > _MOST else []
    return "; ".join([*workloads[:_MOST], *more])
