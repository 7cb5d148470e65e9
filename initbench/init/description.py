"""What an initializer would do to a model, as a frame."""

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init.ambient import plain_torch
from initbench.init.copying import copy_of
from initbench.init.initializer import initializer
from initbench.init.method import Loss, as_batch
from initbench.init.scheme import Spec
from initbench.init.table import rows

if TYPE_CHECKING:
    import pandas as pd


def describe(
    model: nn.Module,
    init: Spec,
    *,
    seed: int = 0,
    batch: tuple[Tensor, Tensor] | Tensor | None = None,
    loss: Loss = F.cross_entropy,
    **overrides: Any,
) -> "pd.DataFrame":
    """A table of what `initialize` would do with these arguments; the model is not changed.

    Returns one row per parameter with the columns parameter, shape, role, rule, scheme, fan_in, fan_out, std_expected
    (the standard deviation of the scheme or the recipe in closed form, NaN if it has none), mean and std (as drawn with
    this seed). Parameters that share memory are listed once, under their first name. Raises ValueError as `initialize`
    does.
    """
    import pandas as pd  # only this function needs it

    chosen, given = initializer(init, **overrides), as_batch(batch)
    chosen.plan(
        model, None if given is None else given.inputs
    )  # refuses what a copy would mend, such as parameters that overlap
    with plain_torch():  # parameters made in inference_mode are copied as ordinary ones
        copy = copy_of(model, "describe works on")
    outcome = chosen.apply(copy, seed=seed, batch=given, loss=loss)
    return pd.DataFrame(rows(outcome))
