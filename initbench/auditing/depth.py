"""How the depth of a residual network enters its weights: where it should not, twice, or not at all."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from statistics import median

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject
from initbench.init.layer import fans
from initbench.init.roles import is_norm
from initbench.init.structure.blocks import BranchMatrix, distinct
from initbench.init.structure.branch import Branch

_NEAR = 0.02  # relative, and four standard errors of the root mean square
_FEWEST_WEIGHTS = 1000
_FEWEST_LAYERS = 3  # with fewer, too many rules agree

# The factor on a standard deviation in layer l = 0, 1, ... of a stream that R branches add to.
Rule = Callable[[int, int], float]
RULES: Mapping[str, Rule] = {
    "none": lambda layer, branches: 1.0,
    "1/sqrt(R)": lambda layer, branches: 1 / math.sqrt(branches),  # Radford et al. 2019
    "1/sqrt(2(l+1))": lambda layer, branches: 1 / math.sqrt(2 * (layer + 1)),
    "1/R": lambda layer, branches: 1 / branches,
    "1/(2(l+1))": lambda layer, branches: 1 / (2 * (layer + 1)),
}
_TWICE = {"1/R": "1/sqrt(R)", "1/(2(l+1))": "1/sqrt(2(l+1))"}


Groups = Mapping[tuple[str, str], list[BranchMatrix]]  # by purpose and kind of branch


def scaled_by_depth(subject: Subject) -> Iterator[Finding]:
    """Matrices that are scaled by depth twice, or off the residual stream, and those on it that are not.

    R is the number of branches that add to the stream, l a layer.
    """
    try:
        matrices = distinct(subject.parts.branch_matrices)
    except ValueError:  # nothing is known about the branches
        return
    for stream in {each.branch.stream for each in matrices}:
        own = [each for each in matrices if each.branch.stream == stream]
        branches = {each.branch.name: each.branch for each in own}
        number, layers = sum(branch.runs for branch in branches.values()), {b.depth for b in branches.values()}
        if len(layers) >= _FEWEST_LAYERS:
            yield from _of_stream(own, number)


def _of_stream(matrices: list[BranchMatrix], branches: int) -> Iterator[Finding]:
    by_purpose: dict[tuple[str, str], list[BranchMatrix]] = defaultdict(list)
    for each in matrices:
        if math.prod(each.projection.shape) >= _FEWEST_WEIGHTS:
            by_purpose[each.purpose, each.branch.kind].append(each)
    base = [each for (purpose, _), some in by_purpose.items() if purpose in ("query", "key") for each in some]
    base = base or [each for (purpose, _), some in by_purpose.items() if purpose != "out" for each in some]
    if not base:
        return
    rules = {key: rule_of(some, base, branches) for key, some in by_purpose.items()}
    yield from _missing(by_purpose, rules, branches)
    for (purpose, kind), some in by_purpose.items():
        rule = rules[purpose, kind]
        what = f"the {purpose} matrices of {kind} branches"
        first = some[0].projection.name
        if rule in _TWICE:
            reason = f"{what} are scaled by {rule}, which is {_TWICE[rule]} twice (R = {branches})"
            yield Finding("warning", "scaled by depth twice", first, reason, "divide once")
        elif purpose != "out" and rule not in ("none", None):
            reason = f"{what} do not write to the residual stream, and are scaled by {rule} (R = {branches})"
            remedy = "scale only the output of the attention and the last layer of the MLP"
            yield Finding("warning", "scaled by depth off the stream", first, reason, remedy)


def _missing(by_purpose: Groups, rules: Mapping[tuple[str, str], str | None], branches: int) -> Iterator[Finding]:
    """Matrices that write to the stream unscaled, where others are scaled, or all of a pre-norm transformer are."""
    outs = {kind: rule for (purpose, kind), rule in rules.items() if purpose == "out"}
    plain = [kind for kind, rule in outs.items() if rule == "none"]
    scaled = {kind: rule for kind, rule in outs.items() if rule not in ("none", None)}
    for kind in plain:
        first = by_purpose["out", kind][0]
        if scaled:
            other, rule = next(iter(scaled.items()))
            reason = f"the out matrices of {kind} branches are not scaled by depth, as those of {other} are by {rule}"
            yield Finding("warning", "not scaled by depth", first.projection.name, reason, "scale both, or neither")
        elif "attention" in outs and _is_free(first.branch):
            reason = f"the out matrices of {kind} branches are not scaled by depth, though {branches} branches add up"
            remedy = "1/sqrt(R) as in GPT-2 keeps the variance of the stream, if that is what you want"
            yield Finding("note", "not scaled by depth", first.projection.name, reason, remedy)


def _is_free(branch: Branch) -> bool:
    """Whether nothing but its weights limits a branch: it begins with a norm, and no norm or multiplier ends it."""
    begins = bool(branch.modules) and is_norm(branch.modules[0][1])
    return begins and not branch.last_norms and branch.gate is None and branch.multiplier is None


def rule_of(matrices: list[BranchMatrix], base: list[BranchMatrix], branches: int) -> str | None:
    """The first of RULES by which matrices are smaller than `base`, as they are or relative to 1/sqrt(fan_in)."""
    for name, rule in RULES.items():
        for measure in (_rms, _gain):
            usual = median(map(measure, base))
            found = [(each, measure(each), usual * rule(each.branch.depth, branches)) for each in matrices]
            if usual and all(_is_near(*one) for one in found):
                return name
    return None


def _is_near(matrix: BranchMatrix, value: float, expected: float) -> bool:
    near = max(_NEAR, 4 / math.sqrt(2 * math.prod(matrix.projection.shape)))
    return math.isclose(value, expected, rel_tol=near)


def _rms(matrix: BranchMatrix) -> float:
    return float(matrix.projection.weight.float().square().mean().sqrt())


def _gain(matrix: BranchMatrix) -> float:
    fan_in, _ = fans(matrix.projection.shape)
    return _rms(matrix) * math.sqrt(fan_in or 1)
