"""Weights that two layers share, as the embedding and the head of many language models do."""

from collections import defaultdict
from collections.abc import Iterator

from torch import nn

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject
from initbench.init.memory import storage_of


def drawn_by_two_rules(subject: Subject) -> Iterator[Finding]:
    """Shared weights that a model's own rules draw in two ways, one after the other."""
    names = defaultdict(list)
    for name, parameter in nn.Module.named_parameters(subject.model, remove_duplicate=False):
        names[storage_of(parameter)].append((name, parameter))
    for some in names.values():
        draws = [write for write in subject.writes.to(some[0][1]) if write.is_draw and not write.is_default]
        if len(some) > 1 and len({(write.operation, write.numbers, write.cut) for write in draws}) > 1:
            first, last = draws[0], draws[-1]
            yield Finding(
                "warning",
                "shared, and drawn by two rules",
                some[0][0],
                f"{' and '.join(name for name, _ in some)} are one tensor, which {first.by} draws by {first} and "
                f"{last.by} again by {last}",
                "draw it once, by the rule of the layer whose scale matters: most models take that of the embedding",
            )
