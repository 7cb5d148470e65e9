"""Inputs to run a model on if there is no batch, guessed from its first layers."""

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

_IMAGE_SIZES = (32, 64, 28, 96, 128, 160, 192, 224, 240, 256, 288, 299, 320, 384, 448, 512)
_LENGTHS = (16, 8, 32, 64, 100, 128, 256, 512, 1024, 4, 1)
_SAMPLES = 2
Shape = tuple[tuple[int, ...], int]  # of an input, with the number of different ids; 0 for real numbers
_LAYERS = 4  # how many of the first layers to guess from: the first one that is registered need not run first


def like(inputs: Tensor, model: nn.Module) -> tuple[Tensor, ...]:
    """The first samples of the inputs, on the model's device and in its precision."""
    device, dtype = _device_and_dtype(model)
    return (inputs[:_SAMPLES].to(device, dtype if inputs.is_floating_point() else None),)


def examples(model: nn.Module) -> Iterator[tuple[Tensor | None, ...]]:
    """Possible inputs of the model, the most likely first; several copies for a model with several arguments."""
    device, dtype = _device_and_dtype(model)
    count = _arguments(model)
    seen = set()
    for shape, ids in _shapes(model):
        if (shape, ids) not in seen:
            seen.add((shape, ids))
            if ids:
                values = torch.arange(torch.Size(shape).numel(), device=device).view(shape) % ids
            else:
                # Without random numbers, and not constant, which a norm would turn to zero.
                values = torch.linspace(-1, 1, torch.Size(shape).numel(), device=device).view(shape).to(dtype)
            for places in ([*range(count)], _of_decoder(model)):
                if places:
                    yield tuple(values.clone() if place in places else None for place in range(places[-1] + 1))


def _device_and_dtype(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    tensors = [*model.parameters(), *model.buffers()]
    device = tensors[0].device if tensors else torch.device("cpu")
    return device, next((each.dtype for each in tensors if each.is_floating_point()), torch.get_default_dtype())


def _shapes(model: nn.Module) -> Iterator[Shape]:
    lengths = dict.fromkeys((*_positions(model), *_LENGTHS))
    small = [(size, size) for size in _IMAGE_SIZES]
    sizes = dict.fromkeys((*_stated_sizes(model), *small[:2], *_configured_size(model), *small))
    layers = [module for module in model.modules() if not any(True for _ in module.children())]
    layers = [module for module in layers if any(True for _ in module.parameters())]
    attentions = [module for module in model.modules() if isinstance(module, nn.MultiheadAttention)]
    likely = [shapes for layer in [*layers[:_LAYERS], *attentions[:1]] if (shapes := _of(layer, lengths, sizes))]
    for shapes in likely:
        yield from shapes
    for channels in (3, 1):  # such as patches that the model cuts itself, before a linear layer
        yield from (((_SAMPLES, channels, *size), 0) for size in sizes)


def _of(layer: Any, lengths: Any, sizes: Any) -> list[tuple[tuple[int, ...], int]]:
    if isinstance(layer, nn.Embedding):
        return [((_SAMPLES, length), layer.num_embeddings) for length in lengths] + [
            ((_SAMPLES,), layer.num_embeddings)
        ]
    if isinstance(layer, nn.EmbeddingBag):
        return [((_SAMPLES, length), layer.num_embeddings) for length in lengths]
    if isinstance(layer, _ConvNd):
        return _spatial(layer.in_channels, len(layer.kernel_size), lengths, sizes)
    if isinstance(layer, _NormBase | nn.GroupNorm):
        channels = layer.num_channels if isinstance(layer, nn.GroupNorm) else layer.num_features
        shapes: list[Shape] = [((_SAMPLES, channels), 0)]
        for spatial in (2, 1, 3):
            shapes += _spatial(channels, spatial, lengths, sizes)[:2]
        return shapes
    width: tuple[int, ...] | None = None
    if isinstance(layer, nn.Linear):
        width = (layer.in_features,)
    elif isinstance(layer, nn.RNNBase | nn.RNNCellBase):
        width = (layer.input_size,)
    elif isinstance(layer, nn.MultiheadAttention):
        width = (layer.embed_dim,)
    elif isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        width = tuple(layer.normalized_shape)
    if width is None:
        return []
    return [((_SAMPLES, *width), 0), *(((_SAMPLES, length, *width), 0) for length in lengths)]


def _spatial(channels: int, dimensions: int, lengths: Any, sizes: Any) -> list[Shape]:
    if dimensions == 1:
        return [((_SAMPLES, channels, length), 0) for length in (*lengths, 4096, 16_000)]
    depths = [()] if dimensions == 2 else [(8,), (16,), (32,)]
    return [((_SAMPLES, channels, *depth, *size), 0) for size in sizes for depth in depths]


def _stated_sizes(model: nn.Module) -> Iterator[tuple[int, int]]:
    """The image sizes in attributes of a model's configuration, as in transformers, of the model and of its parts."""
    for module in (getattr(model, "config", None), *model.modules()):
        for key in ("image_size", "img_size", "input_resolution"):
            size = getattr(module, key, None)
            if isinstance(size, int):
                yield (size, size)
            elif isinstance(size, tuple | list) and len(size) == 2 and all(isinstance(each, int) for each in size):
                yield (size[0], size[1])


def _configured_size(model: nn.Module) -> list[tuple[int, int]]:
    """The image size in timm's configuration of the model; most convolutional networks accept others."""
    config = getattr(model, "pretrained_cfg", None)
    size: Any = config.get("input_size", ()) if isinstance(config, dict) else ()
    return [(size[1], size[2])] if len(size) == 3 else []


def _positions(model: nn.Module) -> list[int]:
    """The lengths of learned position embeddings, which a sequence may have to match."""
    names = ((name.rpartition(".")[2], parameter) for name, parameter in model.named_parameters())
    return [parameter.shape[-2] for name, parameter in names if "pos" in name and parameter.dim() >= 2]


def _of_decoder(model: nn.Module) -> list[int]:
    """The positions of the arguments for tokens of an encoder and its decoder, as in transformers; else empty."""
    try:
        names = [*inspect.signature(model.forward).parameters]
    except (TypeError, ValueError):
        return []
    return [0, names.index("decoder_input_ids")] if "decoder_input_ids" in names else []


def _arguments(model: nn.Module) -> int:
    """The number of arguments that the model's forward requires."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return 1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return max(1, sum(p.kind in kinds and p.default is p.empty for p in parameters))
