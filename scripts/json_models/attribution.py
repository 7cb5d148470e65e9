"""attribution.json."""

from typing import Annotated

from json_models.shared import Closed, Count, Sentence, Share, says


class Effect(Closed):
    effect: Annotated[str, says("`all parts`, the name of a part, or of two parts")]
    parts: Annotated[Count, says("0 for all parts, 1, or 2 for a pair")]
    others: Annotated[list[str], says("effects that this design cannot tell apart from it")]
    gain: Annotated[float, says("in the unit of the score; positive if better with b")]
    low: Annotated[float | None, says("of the 95% interval, which holds for all rows at once")]
    high: float | None
    p: Annotated[float, says("sign flips over seeds")]
    p_holm: Annotated[float, says("corrected over all rows")]
    is_shown: Annotated[bool, says("`p_holm` is below `level`")]


class Smallest(Closed):
    parts: list[str]
    share: Annotated[float | None, says("of the difference, estimated on seeds that took no part in the choice")]
    low: float | None
    high: float | None
    agreement: Annotated[Share | None, says("share of the seeds without which the same set is chosen")]


class Attribution(Closed):
    """`runs/STUDY/report/attribution.json`, written by `python -m initbench.attribution`"""

    a: Annotated[str, says("name of the first initializer")]
    b: Annotated[str, says("name of the second one")]
    parts: list[str]
    arms: Annotated[Count, says("combinations of parts that were trained")]
    resolution: Annotated[int | None, says("of the fraction of combinations; null if all were trained")]
    seeds: Annotated[Count, says("with a score in every arm")]
    level: Annotated[float, says("error rate of all claims together")]
    metric: Annotated[str, says("name of the score")]
    sentences: list[Sentence]
    effects: Annotated[list[Effect], says("all parts first")]
    smallest: Annotated[Smallest | None, says("the smallest set with most of the difference; null below three seeds")]
