"""Copies of modules: of a whole model, and of one layer as fp32 tensors on the CPU."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from initbench.init.memory import storage_of
from initbench.schema.target import line


def copy_of(model: nn.Module, purpose: str) -> nn.Module:
    """A deep copy, in which tied parameters are tied. Raises ValueError, naming the layer, if one cannot be copied.

    `purpose` starts the message: "lsuv works on".
    """
    try:
        return copy.deepcopy(model, _tied_copies(model))
    except Exception as error:  # a class of the user's own may raise anything
        name, module, error = _uncopyable(model) or ("", model, error)
        kind = kind_of(module).__name__
        remedy = "; do this before fully_shard" if is_sharded(module) else ""
        raise ValueError(
            f"{purpose} a copy of the model, and {f'layer {name}' if name else 'the model'}, a {kind}, cannot be "
            f"copied: {_first_sentence(error)}{remedy}"
        ) from error


def copy_on_cpu(module: nn.Module) -> nn.Module:
    """A copy of one layer on the CPU, with whole fp32 parameters and without parametrizations.

    Raises ValueError if the module cannot be copied.
    """
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(whole(parameter.detach()).clone(), parameter.requires_grad)
        for parameter in module.parameters()
        if hasattr(parameter, "full_tensor")
    }
    kind = kind_of(module)
    try:
        if is_sharded(module):  # fully_shard forbids copies, and its hooks would gather the parameters
            twin = kind.__new__(kind)
            nn.Module.__init__(twin)
            twin.__setstate__(copy.deepcopy(_without_sharding(vars(module)), memo))
        else:
            twin = copy.deepcopy(module, memo)
    except Exception as error:  # a class of the user's own may raise anything
        raise ValueError(f"a {kind.__name__} cannot be copied: {_first_sentence(error)}") from error
    twin = twin.cpu().float()
    for parameter in twin.parameters():
        parameter.data = parameter.data.contiguous()  # random numbers are drawn in the order of the memory
    if parametrize.is_parametrized(twin):
        _unparametrize(twin)
    return twin


def kind_of(module: nn.Module) -> type[nn.Module]:
    """The class of a module without the subclasses that parametrizations and fully_shard derive from it."""
    kind = type(module)
    while kind.__name__ in (f"{prefix}{kind.__bases__[-1].__name__}" for prefix in ("Parametrized", "FSDP")):
        kind = kind.__bases__[-1]
    return kind


def is_sharded(module: nn.Module) -> bool:
    """Whether torch.distributed.fsdp.fully_shard was applied to this very module."""
    return any(base.__name__ == "FSDPModule" for base in type(module).__mro__)


def whole(tensor: Tensor) -> Tensor:
    """The whole tensor: a DTensor, of which each process holds a part, is gathered."""
    gathered: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered


def _first_sentence(error: BaseException) -> str:
    return line(error).split(". ")[0]


def _tied_copies(model: nn.Module) -> dict[int, Any]:
    """The memo for a deep copy in which parameters that share memory still do; deepcopy alone would separate them."""
    memo: dict[int, Any] = {}
    first: dict[object, Tensor] = {}
    for parameter in model.parameters():
        one = first.setdefault(storage_of(parameter), parameter)
        if one is not parameter:
            copied = copy.deepcopy(one, memo).data
            view = copied.as_strided(parameter.shape, parameter.stride(), copied.storage_offset())
            memo[id(parameter)] = nn.Parameter(view, parameter.requires_grad)
    return memo


def _uncopyable(model: nn.Module) -> tuple[str, nn.Module, Exception] | None:
    """The innermost module that cannot be copied."""
    for name, module in reversed(list(model.named_modules())):
        try:
            copy.deepcopy(module)
        except Exception as error:  # as above
            return name, module, error
    return None


def _without_sharding(state: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a module without those that fully_shard gave it."""
    return {k: value for k, value in state.items() if not (k.endswith("_hooks") or k.startswith("__composable_api"))}


@torch.no_grad()
def _unparametrize(module: nn.Module) -> None:
    """Make a copy an ordinary module, since `reset_parameters` of a parametrized module writes to temporary tensors.

    parametrize.remove_parametrizations would change the class that the copy shares with its original.
    """
    values = {key: getattr(module, key).detach().clone() for key in module.parametrizations}  # type: ignore[union-attr]  # a ModuleDict
    module.__class__ = kind_of(module)
    del module.parametrizations
    for key, value in values.items():
        module.register_parameter(key, nn.Parameter(value))
