"""What a race has shown, in sentences: the answer, who is out, and how many runs it took."""

from collections.abc import Iterator

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.race.raced import Raced
from initbench.analysis.statistics.power import seeds_needed
from initbench.analysis.verdict.sentence import Sentence, join
from initbench.wording import count

_POWER = 0.9  # of the fixed design that a race is compared with


def about_races(comparison: Comparison) -> Iterator[Sentence]:
    """The sentences of each race of a study; one that nobody could run in says so."""
    for race in comparison.races:
        where = f"Raced on {comparison.named(race.workloads[0])}. " if len(comparison.races) > 1 else ""
        for place, sentence in enumerate(_about(race, comparison)):
            yield Sentence(sentence.kind, ("" if place else where) + sentence.text)


def _about(race: Raced, comparison: Comparison) -> Iterator[Sentence]:
    course, names = race.course, race.inits
    if len(names) < 2:
        who = f"only {names[0]}" if names else "no initializer"
        yield Sentence("nothing", f"There is no race: {who} could take part.")
        return
    own = comparison.scored[comparison.scored["workload_id"].isin(race.workloads)]
    if not own["learned"].fillna(False).astype(bool).any():
        text = f"No run of {join(names, 'or')} learned anything: there is nothing to choose between them."
        yield Sentence("nothing", text)
        return
    inside = join([names[init] for init in course.inside])
    after = f"after {count(course.seeds, 'seed')}"
    often = f"in at most {_level(race)} of races"
    if course.winner is not None:
        rest = "the other one" if len(names) == 2 else f"the other {len(names) - 1} initializers"
        yield Sentence(
            "winner", f"Use {inside}: it won the race against {rest} {after}; the best initializer drops out {often}."
        )
    elif course.all_equal:
        will = "either will do" if len(course.inside) == 2 else "any of them will do"
        rest = " the others are out, and" if course.exits else ""
        assert course.rules.margin is not None
        within = f"equal to within {race.metric.difference(course.rules.margin)}"  # the margin of the plan
        yield Sentence(
            "equal",
            f"Use {join([names[init] for init in course.inside], 'or')}:{rest} these are {within} {after}, so "
            f"{will}. Initializers that differ by more are called equal {often}, and the best one drops out {often}.",
        )
    else:
        what = "ends undecided" if course.is_over else "is undecided"
        yield Sentence("open", f"The race between {inside} {what} {after}.")
    if course.exits:
        yield _out(race)
    if course.is_over:
        yield _runs(race)


def _out(race: Raced) -> Sentence:
    course, names, metric = race.course, race.inits, race.metric
    each = [
        f"{names[out.init]} after {out.seeds} seeds (beaten by {names[out.by]} by {metric.difference(out.lead)})"
        for out in course.exits
    ]
    text = f"Dropped: {join(each, most=12)}."
    if course.rules.strict:
        wrong = f"in at most {_level(race)} of races is any of these statements wrong"
        return Sentence("worse", f"{text} Each is worse than the one that beat it; {wrong}.")
    no_claim = "That an initializer dropped out is no claim that it is worse than another"
    return Sentence("out", f"{text} {no_claim}; race.strict=true makes it one.")


def _level(race: Raced) -> str:
    return f"{100 * race.course.rules.level:.3g}%"


def _runs(race: Raced) -> Sentence:
    """How many runs the answer took, and what a fixed number of seeds takes to show the smallest lead there was."""
    course, number, metric = race.course, len(race.inits), race.metric
    what = "The answer" if course.winner is not None or course.all_equal else "The race"
    of = f"{race.needed} of the {race.runs} runs that were trained"
    text = f"{what} took {count(race.needed, 'run') if race.runs == race.needed else of}"
    if course.winner is not None:
        last = min((out for out in course.exits if out.seeds == course.seeds), key=lambda out: out.lead)
        ahead = race.scores[: last.seeds, course.winner] - race.scores[: last.seeds, last.init]
        levels = course.rules.level, course.rules.level / (number * (number - 1) / 2)
        fixed = [seeds_needed(float(ahead.mean()), float(ahead.std(ddof=1)), level, _POWER) for level in levels]
        runs = [seeds * number * len(race.workloads) for seeds in fixed if seeds is not None]
        if len(runs) == len(levels):
            lead = f"its lead of {metric.difference(float(ahead.mean()))} over {race.inits[last.init]}"
            text += (
                f". If {lead} were the true one, which a race that ends early overestimates, a fixed number of seeds "
                f"with a power of {100 * _POWER:.0f}% would take {runs[0]} runs by rank verification"
            )
            text += f" and {runs[1]} by Bonferroni's correction" if number > 2 else ""
    return Sentence("runs", f"{text}.")
