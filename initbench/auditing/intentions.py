"""What was written and meant otherwise: cuts that never cut, and values that somebody else overwrote."""

from collections import Counter
from collections.abc import Iterator

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject
from initbench.auditing.writes import CONSTANTS
from initbench.init.roles import MATRICES

FARTHEST = 5.0  # standard deviations: beyond it lies one of 1.7 million draws, which is as good as none


def idle_cuts(subject: Subject) -> Iterator[Finding]:
    """Truncated normal distributions whose bounds are so far away that nothing is cut."""
    for found in subject.parameters:
        cut = next((write.cut for write in reversed(subject.writes.to(found.tensor)) if write.is_draw), None)
        if cut is not None and cut.distance > FARTHEST:
            low, high = cut.mean - 3 * cut.std, cut.mean + 3 * cut.std
            yield Finding(
                "warning",
                "a cut that never cuts",
                found.name,
                f"a normal distribution of std {cut.std:g} is cut at {cut.low:g} and {cut.high:g}, {cut.distance:.0f} "
                "standard deviations away",
                f"give the bounds in the units of the weights: a={low:g}, b={high:g} cut at three",
            )


def skipped(subject: Subject) -> Iterator[Finding]:
    """Matrices that keep torch's default where a rule of the model draws most of them."""
    drawn, kept = {}, []
    for found in subject.parameters:
        writes = subject.writes.to(found.tensor)
        draws = [write for write in writes if write.is_draw]
        if draws and found.role in (*MATRICES, "embedding"):
            drawn[found.name] = draws[-1]
            if all(write.is_default for write in writes):
                kept.append(found.name)
    rules = Counter(write.by for name, write in drawn.items() if name not in kept)
    if not rules or len(kept) >= len(drawn) / 2:
        return
    rule = rules.most_common(1)[0][0]
    for name in kept:
        yield Finding(
            "warning",
            "skipped",
            name,
            f"it keeps torch's default, and {rule} draws most of the others",
            f"have {rule} draw it too, or set it where it is made if the default is what you want",
        )


def overwritten(subject: Subject) -> Iterator[Finding]:
    """What a module's own method wrote and another method drew again: a draw, or a constant such as zeros."""
    for found in subject.parameters:
        writes = [write for write in subject.writes.to(found.tensor) if not write.is_default]
        last = next((write for write in reversed(writes) if write.is_draw), None)
        if last is None:
            continue
        # A part that replaces what the whole has drawn is right: it knows better.
        parts = None if last.owner is None else {*last.owner.modules()} - {last.owner}
        before = [write for write in writes[: writes.index(last)] if write.owner is not None]
        before = [write for write in before if parts is None or write.owner in parts]
        # What __init__ draws is often a placeholder; what it sets to a constant, and what a method draws, is not.
        meant = [each for each in before if each.operation in CONSTANTS or (each.is_draw and not each.is_of_init)]
        if meant:
            did = "draws it" if meant[-1].is_draw else "sets it to a constant"
            yield Finding(
                "warning",
                "overwritten",
                found.name,
                f"{meant[-1].by} {did}, and {last.by} draws it again",
                f"leave {type(found.module).__name__} out of {last.by}, or remove the first",
            )
