"""Replicas of one model side by side: their channels are the channels of one wide model.

Images are (B, G*C, S, S), features (B, R*F): replica after replica. So activations, pooling and batch norm work as they
are, on tensors as large as torch is fast with; convolutions are grouped, linear layers are batched products. G is the
number of different batches, R of replicas: up to the first layer that has weights, R / G replicas that see the same
batch share it. Dropout needs G = R, as no width tells it how many channels a replica has. Parameters and buffers are
stacked along a first dimension of R.
"""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.modules.dropout import _DropoutNd as Dropout

from initbench.model.layers import ACTIVATIONS
from initbench.model.resnet_cifar import Shortcut


def side_by_side(model: nn.Module) -> nn.Module:
    """A copy of `model` that takes and returns replicas side by side, called with stacked parameters and buffers.

    Raises NotImplementedError for a layer that has no such form. Whether what a model does between its layers is done
    channel by channel only its outputs can tell: see `initbench.packed.eligible`.
    """
    wide = copy.deepcopy(model)
    for name, module in wide.named_modules():
        if type(module) in _WIDE:
            module.__class__ = _WIDE[type(module)]
        elif type(module) not in _CHANNEL_BY_CHANNEL and (_has_tensors(module) or not list(module.children())):
            raise NotImplementedError(f"{type(module).__name__} ({name})")
        if type(module).forward is nn.Sequential.forward:
            _pool_first(module)
    return wide


class WideLinear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        """(B, G*in) to (B, R*out)."""
        output: Tensor = _Linear.apply(input, self.weight, self.bias)
        return output


class _Linear(torch.autograd.Function):
    """Products in the layouts that everything lies in already: those of autograd's would be copied, at more cost."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        batches = input.view(len(input), -1, weight.shape[2]).transpose(0, 1)  # (G, B, in)
        ctx.save_for_backward(batches, weight)
        ctx.has_bias = bias is not None
        groups = len(batches)
        transposed = weight.view(groups, -1, weight.shape[2]).transpose(1, 2)  # (G, in, R/G*out)
        if bias is None:
            products = torch.bmm(batches, transposed)
        else:
            products = torch.baddbmm(bias.view(groups, 1, -1), batches, transposed)
        return products.transpose(0, 1).reshape(len(input), -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (gradient,) = gradients  # (B, R*out)
        batches, weight = ctx.saved_tensors
        groups = len(batches)
        of_groups = gradient.view(len(gradient), groups, -1).transpose(0, 1)  # (G, B, R/G*out)
        of_input = None
        if ctx.needs_input_grad[0]:
            of_input = torch.bmm(of_groups, weight.view(groups, -1, weight.shape[2]))
            of_input = of_input.transpose(0, 1).reshape(len(gradient), -1)
        of_weight = torch.bmm(of_groups.transpose(1, 2), batches).view_as(weight) if ctx.needs_input_grad[1] else None
        of_bias = gradient.sum(0).view(weight.shape[:2]) if ctx.has_bias and ctx.needs_input_grad[2] else None
        return of_input, of_weight, of_bias


class WideConv2d(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        """(B, G*in, ...) to (B, R*out, ...)."""
        if self.groups > 1:  # replicas that share a batch would have to share a group
            input = _for_each(input, self.in_channels, self.weight)
        groups = input.shape[1] // self.in_channels * self.groups
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0, 0)
        bias = None if self.bias is None else self.bias.flatten()
        weight = self.weight.flatten(0, 1)
        return F.conv2d(input, weight, bias, self.stride, padding, self.dilation, groups)


class _WideBatchNorm(nn.modules.batchnorm._BatchNorm):
    def forward(self, input: Tensor) -> Tensor:
        """(B, G*C, ...) to (B, R*C, ...): batch norm never looks beyond a channel."""
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        own = self.weight if self.weight is not None else self.running_mean
        return F.batch_norm(
            _for_each(input, self.num_features, own),
            _flat(self.running_mean),
            _flat(self.running_var),
            _flat(self.weight),
            _flat(self.bias),
            self.training or self.running_mean is None,
            self.momentum or 0.0,
            self.eps,
        )


class WideBatchNorm1d(_WideBatchNorm, nn.BatchNorm1d):
    pass


class WideBatchNorm2d(_WideBatchNorm, nn.BatchNorm2d):
    pass


class WideGroupNorm(nn.GroupNorm):
    def forward(self, input: Tensor) -> Tensor:
        """(B, G*C, ...) to (B, R*C, ...)."""
        each = _for_each(input, self.num_channels, self.weight)
        groups = each.shape[1] // self.num_channels * self.num_groups
        return F.group_norm(each, groups, _flat(self.weight), _flat(self.bias), self.eps)


class WideLayerNorm(nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:
        """(B, G*F) to (B, R*F), of one-dimensional features."""
        (features,) = self.normalized_shape
        normalized = F.layer_norm(input.view(len(input), -1, features), (features,), None, None, self.eps)
        if self.weight is not None:
            normalized = _for_each(normalized.flatten(1), features, self.weight).unflatten(1, (-1, features))
            normalized = normalized * self.weight if self.bias is None else normalized * self.weight + self.bias
        return normalized.flatten(1)


class WidePReLU(nn.PReLU):
    def forward(self, input: Tensor) -> Tensor:
        """(B, R*C, ...) to the same. Which channels are a replica's is known behind the first layer with weights."""
        repeats = input.shape[1] // self.weight.numel()
        return F.prelu(input, self.weight.repeat_interleave(repeats, 1).flatten())


class AnyWideDropout(Dropout):
    """Replicas of one seed share their masks, as runs of one seed do: on a CPU they are the very ones."""

    of_channels = False  # whether whole channels are dropped
    streams: Sequence[Generator]  # of each replica, one object for those of one seed

    def forward(self, input: Tensor) -> Tensor:
        """(B, R*C, ...) to the same."""
        if not self.training or self.p == 0:
            return input
        masks = {stream: self._mask(input, stream) for stream in dict.fromkeys(self.streams)}
        wide = torch.stack([masks[stream] for stream in self.streams], dim=1).flatten(1, 2)
        return input * wide.contiguous(memory_format=_memory_format(wide if self.of_channels else input))

    def _mask(self, input: Tensor, stream: Generator) -> Tensor:
        """(B, C, ...), drawn and laid out as torch does in a single run."""
        channels = input.shape[1] // len(self.streams)
        size = [1] * (input.dim() - 2) if self.of_channels else input.shape[2:]
        mask = torch.empty(
            len(input), channels, *size, dtype=input.dtype, device=input.device, memory_format=_memory_format(input)
        )
        return mask.bernoulli_(1 - self.p, generator=stream).div_(1 - self.p)


class WideDropout(AnyWideDropout, nn.Dropout):
    pass


class WideDropout2d(AnyWideDropout, nn.Dropout2d):
    of_channels = True


class WideFlatten(nn.Flatten):
    def forward(self, input: Tensor) -> Tensor:
        """Give the gradient the layout of the input, in which the layers below are fast: torch makes it plain."""
        if input.requires_grad:
            layout = _memory_format(input)
            input.register_hook(lambda gradient: gradient.contiguous(memory_format=layout))
        return super().forward(input)


class WideShortcut(Shortcut):
    def forward(self, x: Tensor) -> Tensor:
        """(B, R*c, height, width) to (B, R*(c + new_channels), height / stride, width / stride)."""
        of_each = x[:, :, :: self.stride, :: self.stride].unflatten(1, (-1, self.in_channels))
        return F.pad(of_each, (0, 0, 0, 0, 0, self.new_channels)).flatten(1, 2)


_WIDE: dict[type, type] = {
    nn.Linear: WideLinear,
    nn.Conv2d: WideConv2d,
    nn.BatchNorm1d: WideBatchNorm1d,
    nn.BatchNorm2d: WideBatchNorm2d,
    nn.GroupNorm: WideGroupNorm,
    nn.LayerNorm: WideLayerNorm,
    nn.PReLU: WidePReLU,
    nn.Flatten: WideFlatten,
    nn.Dropout: WideDropout,
    nn.Dropout2d: WideDropout2d,
    Shortcut: WideShortcut,
}
_CHANNEL_BY_CHANNEL = {
    *ACTIVATIONS.values(),
    nn.AdaptiveAvgPool2d,
    nn.AvgPool2d,
    nn.MaxPool2d,
} - set(_WIDE)


def _pool_first(layers: nn.Module) -> None:
    """Pool before a ReLU rather than after it: values and gradients are the same, of a fraction of the pixels."""
    named = list(layers._modules.items())
    for place, ((_, first), (_, second)) in enumerate(pairwise(named)):
        if type(first) is nn.ReLU and type(second) is nn.MaxPool2d:
            named[place : place + 2] = named[place + 1], named[place]
    layers._modules = dict(named)


def _has_tensors(module: nn.Module) -> bool:
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return bool(own)


def _for_each(input: Tensor, channels: int, own: Tensor | None) -> Tensor:
    """(B, G*C, ...) to (B, R*C, ...), a batch for each replica that `own` has a row of; as it is where nobody has."""
    groups = input.shape[1] // channels
    if own is None or groups == len(own):
        return input
    each = input.unflatten(1, (groups, channels)).repeat_interleave(len(own) // groups, 1).flatten(1, 2)
    return each.contiguous(memory_format=_memory_format(input))


def _memory_format(tensor: Tensor) -> torch.memory_format:
    is_last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format


def _flat(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.view(-1)
