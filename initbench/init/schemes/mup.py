"""Maximal update parametrization (muP): the best learning rate is the same at every width."""

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from torch import Generator, Tensor, nn
from torch.nn import init

from initbench.init.declarations import Factors, expected_std, optimizer_rule
from initbench.init.layer import Layer
from initbench.init.roles import MATRICES, NamedParameter
from initbench.init.schemes.variance import draw_, resolve_gain, std_of

if TYPE_CHECKING:
    from initbench.init.assignment import Assignment  # which is made of schemes


def _std(layer: Layer, *, base_width: float = 64, gain: float | None = None, zero_output: bool = False) -> float:
    std = std_of(layer, resolve_gain(layer, gain, None, None), "fan_in")
    if not _is_output(layer):
        return std
    return 0.0 if zero_output else std / math.sqrt(channels_in(layer) / base_width)


def width_factors(assignments: "Sequence[Assignment]", adaptive: bool, base_width: float) -> dict[str, Factors]:
    """Table 3's rows "SGD LR" and "Adam LR", each divided by its value at width = base_width."""
    output = next((a for a in assignments if _is_output(a.layer)), None)
    if output is None:
        return {}
    w = channels_in(output.layer) / base_width
    position = output.layer.position
    inputs = input_names([a.parameter for a in assignments], [] if position is None else position.parts.matrices)
    factors = {}
    for parameter, layer in ((a.parameter, a.layer) for a in assignments):
        if parameter.name == output.parameter.name:
            rate = 1 / w
        elif parameter.module is output.parameter.module or parameter.tensor.numel() == 1:
            rate = 1.0  # its size does not depend on the width
        elif layer.position is None or parameter.name in inputs or _is_depthwise(layer):
            rate = 1.0 if adaptive else w
        else:
            rate = 1 / w if adaptive else 1.0
        if rate != 1:
            factors[parameter.name] = Factors(lr=rate)
    return factors


def _factors(
    assignments: "Sequence[Assignment]",
    adaptive: bool,
    *,
    base_width: float = 64,
    gain: float | None = None,
    zero_output: bool = False,
) -> dict[str, Factors]:
    return width_factors(assignments, adaptive, base_width)


@optimizer_rule(_factors)
@expected_std(_std)
def mup_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    base_width: float = 64,
    gain: float | None = None,
    zero_output: bool = False,
) -> None:
    """N(0, gain^2 / fan_in), with variance divided by w = width / base_width in the output layer, and scaled rates.

    The factors for the learning rate, except for the biases of the output layer, which keep theirs:

        weights   input, biases, norms   hidden   output
        Adam      1                      1 / w    1 / w
        SGD       w                      1        1 / w

    `initialize` sets the weights only. The factors for your own optimizer are those of
    `initbench.learning_rates(model, "mup", adaptive=True)`; a run takes them by itself.

    At width = base_width this is plain fan_in scaling with the optimizer's own learning rate: tune the rate there and
    use it at every other width.

    The paper's widths are the dimensions that go to infinity together: the numbers of channels, but not the receptive
    field. It compares a model with a base model of the same shape whose numbers of channels are all smaller by the same
    factor w. Here the base model is the one whose output layer has `base_width` input channels, so w is the number of
    input channels of the output layer / base_width, for all layers. (A factor per layer would give different rates to
    the layers of a model with unequal widths even at w = 1.) The number of groups is taken as fixed; a depthwise
    convolution has one input at any width and counts as an input weight. Recurrent gates and attention's query, key
    and value are each a hidden matrix. Embeddings, tokens and layer scales count as input weights; single numbers keep
    their rate.

    The input is the weight matrix that the model uses first (and the reverse direction of a bidirectional network),
    unless an embedding is registered before it; the output is the last. A model with one matrix has no width.

    Not changed, since they belong to the model and the optimizer: the scale of attention logits (q k / d instead of
    q k / sqrt(d), which matters only if d per head grows), Adam's epsilon, and the weight decay. An output tied to an
    embedding is not recognized.

    gain: None for that of the model's nonlinearity. zero_output: zero output weights, as the paper recommends.
    Raises ValueError for a base_width that is not positive, for nn.Bilinear, which has two widths that multiply, and
    for a tensor without fans.

    Source: Yang & Hu et al. 2021, Tensor Programs V, table 3.
    Acts on: every weight, and all learning rates.
    """
    check_base("mup", "base_width", base_width)
    if isinstance(layer.module, nn.Bilinear):
        raise ValueError(f"{layer.name} is bilinear: mup has no rule for two widths that multiply")
    std = _std(layer, base_width=base_width, gain=gain, zero_output=zero_output)
    if std == 0:
        init.zeros_(tensor)
    else:
        draw_(tensor, generator, std, "normal")


def check_base(label: str, key: str, value: float) -> None:
    """Raise ValueError unless the size of the model at which the rate was tuned is a positive number."""
    if not 0 < value < math.inf:
        raise ValueError(f"{label} needs a {key} above 0, got {value}")


def _is_output(layer: Layer) -> bool:
    return layer.position is not None and layer.position.is_last and layer.position.count > 1


def _is_depthwise(layer: Layer) -> bool:
    return layer.groups > 1 and layer.shape[1] == 1


def channels_in(layer: Layer) -> int:
    """How many features or channels a layer reads, those of all its groups."""
    return layer.shape[1] * layer.groups


def input_names(parameters: Sequence[NamedParameter], matrices: Sequence[NamedParameter]) -> set[str]:
    """The names of the weights that read the data; empty if an embedding reads it.

    `parameters` are all of the model in the order of registration; `matrices` are those of `structure.Parts`.
    """
    first = next((found for found in matrices if found.role in MATRICES), None)
    if first is None or any(p.role == "embedding" for p in takewhile(lambda p: p.name != first.name, parameters)):
        return set()
    twins = (p for p in parameters if p.module is first.module)
    return {first.name} | {twin.name for twin in twins if twin.key.startswith("weight_ih_l0")}
