"""Standard deviations that suit neither side of a layer, and units that start alike."""

import math
from collections.abc import Iterator
from functools import wraps

from torch import Tensor

from initbench.auditing.finding import Finding
from initbench.auditing.looks import plain
from initbench.auditing.subject import Check, Subject
from initbench.init.layer import Layer, describe_layer
from initbench.init.roles import MATRICES, NamedParameter

# A layer multiplies the second moment of its inputs by gain^2, where gain = rms * sqrt(fan_in). The gains that are in
# use are 0 and about 1/3 (nanochat) to 5/3 (tanh), and .02 * sqrt(width), which is 2.9 for GPT-3's width of 12,288 and
# .11 for 32; at 4, four layers already multiply by 256.
LARGEST_GAIN = 4.0
SMALLEST_GAIN = 0.05
_DEFAULT = 1 / math.sqrt(3)  # of torch's layers
_GAINS = (1.0, math.sqrt(2), _DEFAULT)  # the first two are LeCun's and He's
_MANY = 1000  # elements: the spread of the rms of a thousand draws is a fortieth
_NEAR = 0.05  # relative


def _once(check: Check) -> Check:
    """The check, which says of several matrices in one parameter only what it finds first."""

    @wraps(check)
    def first_of_each(subject: Subject) -> Iterator[Finding]:
        said: set[str] = set()
        for finding in check(subject):
            if finding.parameter not in said:
                said.add(finding.parameter)
                yield finding

    return first_of_each


@_once
def too_large(subject: Subject) -> Iterator[Finding]:
    """Matrices with which every layer multiplies the signal, forwards and backwards."""
    for found, layer, block in _blocks(subject):
        forwards, backwards = _gains(layer, block)
        if min(forwards, backwards) > LARGEST_GAIN:
            yield Finding(
                "warning",
                "too large for either fan",
                found.name,
                f"its std of {_rms(block):.3g} multiplies signals by {forwards:.3g} and gradients by {backwards:.3g}",
                f"1/sqrt(fan_in) is {1 / math.sqrt(_fans(layer)['fan_in']):.3g}",
            )


@_once
def too_large_outside(subject: Subject) -> Iterator[Finding]:
    """The same for matrices that belong to no layer, such as those of experts, and for embeddings that are heads."""
    heads = [found for found in subject.parts.matrices if found.role == "embedding"]
    for found in (*subject.parts.loose, *heads):
        if found.tensor.dim() < 2 or not found.tensor.requires_grad:
            continue
        rms, (inputs, outputs) = _rms(plain(found.tensor)), found.tensor.shape[-2:]
        if (gain := rms * math.sqrt(min(inputs, outputs))) > LARGEST_GAIN:
            yield Finding(
                "warning",
                "too large for either fan",
                found.name,
                f"its std of {rms:.3g} multiplies signals and gradients by {gain:.3g} or more",
                f"1/sqrt({min(inputs, outputs)}) is {1 / math.sqrt(min(inputs, outputs)):.3g}",
            )


@_once
def too_small(subject: Subject) -> Iterator[Finding]:
    """Matrices, not zero, that let next to nothing through, forwards and backwards."""
    for found, layer, block in _blocks(subject):
        forwards, backwards = _gains(layer, block)
        if 0 < max(forwards, backwards) < SMALLEST_GAIN:
            yield Finding(
                "note",
                "too small for either fan",
                found.name,
                f"its std of {_rms(block):.3g} multiplies signals by {forwards:.3g} and gradients by {backwards:.3g}",
                f"1/sqrt(fan_in) is {1 / math.sqrt(_fans(layer)['fan_in']):.3g}; zero, if it is meant to start closed",
            )


@_once
def wrong_fans(subject: Subject) -> Iterator[Finding]:
    """Matrices drawn by the fans that torch.nn.init reads from a shape, where the layer has others.

    It takes the second dimension for the inputs and the first for the outputs, also of a matrix that is stored
    (in, out), of a convolution with groups, and of three projections packed into one.
    """
    for found, layer, block in _blocks(subject):
        right, read = _fans(layer), _fans_of_shape(found.tensor)
        if block.numel() < _MANY or right == read:
            continue
        rms = _rms(block)
        # A square root of the outputs is what reading (in, out) the wrong way gives, and not what its author wanted.
        meant = [mode for mode in right if not (layer.transposed and mode == "fan_out")]
        if any(_fits(rms, right[mode], gain) for mode in meant for gain in _GAINS):
            continue
        wrong = ((mode, gain) for mode in read for gain in _GAINS if _fits(rms, read[mode], gain))
        for mode, gain in wrong:
            if read[mode] == right[mode]:
                continue
            stored = "it is stored (in, out), and " if layer.transposed else ""
            yield Finding(
                "note" if layer.blocks > 1 or gain == _DEFAULT else "warning",  # so torch's own layers are drawn
                "fans of the wrong side",
                found.name,
                f"{stored}its std of {rms:.3g} is {gain:.3g}/sqrt({mode}) for a {mode} of {read[mode]:g}, as "
                f"torch.nn.init reads it from the shape; the layer's is {right[mode]:g}",
                f"{gain:.3g}/sqrt({right[mode]:g}) is {gain / math.sqrt(right[mode]):.3g}",
            )
            break


@_once
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
    """Every weight matrix that is trained, (out, in / groups, *kernel); of stacked ones, each of the stack."""
    for found in subject.parameters:
        if found.role in MATRICES and found.tensor.requires_grad:
            layer = describe_layer(found.name, found.module, found.key, found.tensor)
            if layer.fan_in is not None and found.tensor.numel():
                for block in layer.to_blocks(plain(found.tensor)):
                    yield found, layer, block


def _fans(layer: Layer) -> dict[str, float]:
    """What a rule may divide by: fan_in, fan_out and their mean, as He, and Glorot & Bengio do."""
    assert layer.fan_in is not None
    assert layer.fan_out is not None
    return _modes(layer.fan_in, layer.fan_out)


def _fans_of_shape(tensor: Tensor) -> dict[str, float]:
    """The same as torch.nn.init reads them from the shape of a tensor."""
    field = math.prod(tensor.shape[2:])
    return _modes(tensor.shape[1] * field, tensor.shape[0] * field)


def _modes(fan_in: int, fan_out: int) -> dict[str, float]:
    return {"fan_in": fan_in, "fan_out": fan_out, "mean fan": (fan_in + fan_out) / 2}


def _gains(layer: Layer, block: Tensor) -> tuple[float, float]:
    """By how much a matrix multiplies the root mean square of signals, and of gradients."""
    of, rms = _fans(layer), _rms(block)
    return rms * math.sqrt(of["fan_in"]), rms * math.sqrt(of["fan_out"])


def _fits(rms: float, fan: float, gain: float) -> bool:
    return math.isclose(rms * math.sqrt(fan), gain, rel_tol=_NEAR)


def _rms(tensor: Tensor) -> float:
    return float(tensor.square().mean().sqrt())
