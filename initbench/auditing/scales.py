"""Standard deviations that suit neither side of a layer, and units that start alike."""

import math
from collections.abc import Iterator

from torch import Tensor

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject
from initbench.init.layer import Layer, describe_layer
from initbench.init.roles import MATRICES, NamedParameter

# A layer multiplies the second moment of its inputs by gain^2, where gain = rms * sqrt(fan_in). The gains that are in
# use are 0 and about 1/3 (nanochat) to 5/3 (tanh), and .02 * sqrt(width), which is 2.9 for GPT-3's width of 12,288 and
# .11 for 32; at 4, four layers already multiply by 256.
LARGEST_GAIN = 4.0
_NEAR = 0.05  # relative: the spread of the rms of a thousand draws is a fortieth


def too_large(subject: Subject) -> Iterator[Finding]:
    """Matrices with which every layer multiplies the signal, forwards and backwards."""
    for found, layer, block in _blocks(subject):
        rms = _rms(block)
        assert layer.fan_in is not None
        assert layer.fan_out is not None
        forwards, backwards = rms * math.sqrt(layer.fan_in), rms * math.sqrt(layer.fan_out)
        if min(forwards, backwards) > LARGEST_GAIN:
            yield Finding(
                "warning",
                "too large for either fan",
                found.name,
                f"its std of {rms:.3g} multiplies signals by {forwards:.3g} and gradients by {backwards:.3g}",
                f"1/sqrt(fan_in) is {1 / math.sqrt(layer.fan_in):.3g}",
            )


def wrong_side(subject: Subject) -> Iterator[Finding]:
    """Matrices stored (in, out) that were drawn as if they were stored (out, in), so that the fans are exchanged.

    torch.nn.init takes the second dimension for the fan_in of any matrix.
    """
    for found, layer, block in _blocks(subject):
        if not layer.transposed or layer.fan_in == layer.fan_out or block.numel() < 1000:
            continue
        assert layer.fan_in is not None
        assert layer.fan_out is not None
        rms = _rms(block)
        for gain in (1.0, math.sqrt(2), 1 / math.sqrt(3)):  # LeCun's, He's and the default of torch's layers
            if math.isclose(rms * math.sqrt(layer.fan_out), gain, rel_tol=_NEAR):
                right = gain / math.sqrt(layer.fan_in)
                yield Finding(
                    "warning",
                    "fans of the wrong side",
                    found.name,
                    f"it is stored (in, out), and its std of {rms:.3g} is {gain:.3g}/sqrt(fan_out)",
                    f"{gain:.3g}/sqrt(fan_in) is {right:.3g}: draw the transposed tensor",
                )
                break


def alike(subject: Subject) -> Iterator[Finding]:
    """Matrices whose units have the same weights, which are not zero: they get the same gradient, and stay alike."""
    for found, _, block in _blocks(subject):
        if len(block) > 1 and block.any() and (block == block[:1]).all():
            yield Finding(
                "warning",
                "units start alike",
                found.name,
                f"its {len(block)} units have the same weights, so they get the same gradients and stay alike",
                "draw random weights",
            )


def _blocks(subject: Subject) -> Iterator[tuple[NamedParameter, Layer, Tensor]]:
    """Every weight matrix, (out, in / groups, *kernel); of stacked ones, each of the stack."""
    for found in subject.parameters:
        if found.role in MATRICES:
            layer = describe_layer(found.name, found.module, found.key, found.tensor)
            if layer.fan_in is not None and found.tensor.numel():
                for block in layer.to_blocks(found.tensor.detach().float()):
                    yield found, layer, block


def _rms(tensor: Tensor) -> float:
    return float(tensor.square().mean().sqrt())
