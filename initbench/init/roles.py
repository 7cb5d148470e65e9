"""Roles: what a parameter is for, determined from its module. `walk` lists every parameter exactly once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod

from initbench.init.copying import kind_of
from initbench.init.memory import storage_of
from initbench.init.probing import is_input_first

ROLES = (
    "weight",
    "recurrent_input",
    "recurrent_hidden",
    "attention_in",
    "bias",
    "norm_scale",
    "norm_shift",
    "embedding",
    "other",
)
MATRICES = ("weight", "recurrent_input", "recurrent_hidden", "attention_in")

# Layers that hold integers instead of parameters.
_QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_WEIGHTED = (nn.Linear, _ConvNd, nn.Bilinear)


# Modules that stand for another one, and the name under which they hold it: torch.compile, and what shards or repeats.
_WRAPPERS = {
    "OptimizedModule": "_orig_mod",
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "_fsdp_wrapped_module",
    "CheckpointWrapper": "_checkpoint_wrapped_module",
}

# Those of these names that nobody gives a module of his own.
WRAPPED = {name for name in _WRAPPERS.values() if name.startswith("_")}


class NamedParameter(NamedTuple):
    """One parameter of a model, the module that it belongs to, and its role."""

    name: str  # "layer1.0.conv1.weight", also for a parametrized weight, whose originals have other names
    module_name: str
    module: nn.Module
    key: str
    tensor: Tensor
    role: str
    parametrized: bool


def unwrap(model: nn.Module) -> nn.Module:
    """The module itself, without torch.compile, DataParallel, DistributedDataParallel and FSDP around it.

    Raises ValueError for FSDP if each process holds a part of the parameters.
    """
    while (inner := _WRAPPERS.get(type(model).__name__)) is not None:
        _refuse_parts(model)
        model = model.get_submodule(inner)
    return model


def unwrapped(model: nn.Module) -> nn.Module:
    """The module itself, in which no part is wrapped any more. It changes the model, which is a copy."""
    for module in [*model.modules()]:
        for key, child in module._modules.items():
            module._modules[key] = None if child is None else unwrap(child)
    return unwrap(model)


def bare_name(model: nn.Module, name: str) -> str:
    """The name that a module or parameter of the model would have if no module were wrapped (see `unwrap`)."""
    kept: list[str] = []
    module: nn.Module | None = model
    for part in name.split("."):
        if _WRAPPERS.get(type(module).__name__) != part:
            kept.append(part)
        module = None if module is None else module._modules.get(part)
    return ".".join(kept)


def walk(model: nn.Module) -> Iterator[NamedParameter]:
    """Every parameter of the model once, in registration order; shared storage is listed under its first name.

    Names are those of the model without wrappers.

    Raises ValueError for a layer that cannot be initialized: compiled, quantized or traced into a form that hides what
    its parameters are for, or with a hook that overwrites the weight before each forward pass.
    """
    seen: set[object] = set()
    traced = False
    if isinstance(model, torch.jit.ScriptModule):
        _refuse_hidden("", model, traced)
    for module_name, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList):
            continue  # its originals are listed under the name of the parametrized tensor
        module_name = bare_name(model, module_name)
        traced = traced or isinstance(module, fx.GraphModule) or kind_of(module).__module__.startswith("torch.export")
        _refuse_parts(module)
        _refuse_hidden(module_name, module, traced)
        _refuse_hooked(module_name, module)
        prefix = f"{module_name}." if module_name else ""
        for key, parameter in module.named_parameters(recurse=False):
            if (storage := storage_of(parameter)) not in seen:
                seen.add(storage)
                role = role_of(module, key, module_name)
                yield NamedParameter(prefix + key, module_name, module, key, parameter, role, parametrized=False)
        if parametrize.is_parametrized(module):
            for key, originals in module.parametrizations.items():
                own = {storage_of(parameter) for parameter in originals.parameters(recurse=False)}
                if own and not own & seen:
                    seen |= own
                    tensor, role = value_of(module, key), role_of(module, key, module_name)
                    yield NamedParameter(prefix + key, module_name, module, key, tensor, role, parametrized=True)


def value_of(module: Any, key: str) -> Tensor:
    """The tensor `module.<key>`. A parametrized one as in evaluation, which leaves spectral_norm's state alone."""
    with torch.no_grad(), ExitStack() as stack:
        if parametrize.is_parametrized(module, key):
            stack.enter_context(evaluating(module.parametrizations[key]))
        tensor: Tensor = getattr(module, key)
    return tensor


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """A context in which the module and its parts are in evaluation mode; afterwards, each is in its previous mode."""
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def role_of(module: nn.Module, key: str, module_name: str = "") -> str:
    """The role of `module.<key>`, one of `ROLES`."""
    if is_norm(module):
        return {"weight": "norm_scale", "bias": "norm_shift"}.get(key, "other")
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "embedding"
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        if key.startswith("bias"):
            return "bias"
        return {"weight_ih": "recurrent_input", "weight_hh": "recurrent_hidden"}.get(key[:9], "weight")
    if isinstance(module, nn.MultiheadAttention):
        if key in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            return "attention_in"
        return "bias" if key == "in_proj_bias" else "other"
    if key == "bias":
        return "bias"
    if key == "weight" and is_packed_projection(module, module_name):
        return "attention_in"
    if key == "weight" and (isinstance(module, _WEIGHTED) or value_of(module, key).dim() >= 2):
        return "weight"
    return "other"


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalization layer: torch's, a subclass, or one that is named so, as T5LayerNorm."""
    return isinstance(module, _NORMS) or type(module).__name__.endswith(("RmsNorm", "RMSNorm", "LayerNorm"))


def is_packed_projection(module: nn.Module, module_name: str) -> bool:
    """Whether a linear layer computes query, key and value together, by its name in timm's or GPT-2's attentions."""
    if module_name.rpartition(".")[2] not in ("qkv", "c_attn"):
        return False
    if isinstance(module, nn.Linear):
        return module.out_features == 3 * module.in_features
    weight = module._parameters.get("weight")
    return (
        weight is not None and weight.dim() == 2 and weight.shape[1] == 3 * weight.shape[0] and is_input_first(module)
    )


def _refuse_parts(module: Any) -> None:
    if type(module).__name__ != "FullyShardedDataParallel" or module._handle is None:
        return
    if module._handle.uses_sharded_strategy and module.training_state.name != "SUMMON_FULL_PARAMS":
        raise ValueError(
            "FullyShardedDataParallel has cut the parameters into parts: initialize the model before it, inside "
            "FullyShardedDataParallel.summon_full_params(model), or use fully_shard"
        )


def _refuse_hidden(module_name: str, module: nn.Module, traced: bool) -> None:
    layer = f"layer {module_name!r}" if module_name else f"this {type(module).__name__}"
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(f"{layer} is compiled by torch.jit, which hides the types of layers: initialize it before")
    if kind_of(module).__module__.startswith(_QUANTIZED):
        raise ValueError(f"{layer} is quantized: initialize the model before it is quantized")
    # Tracing keeps layers that it does not look into; the parameters of the others end up in modules without a type.
    untyped = (
        type(module) is nn.Module or isinstance(module, fx.GraphModule) or "torch.export" in type(module).__module__
    )
    if traced and untyped and next(module.parameters(recurse=False), None) is not None:
        raise ValueError(
            f"{layer} is traced by torch.fx or torch.export, which hides the types of layers: initialize it before"
        )


def _refuse_hooked(module_name: str, module: nn.Module) -> None:
    for hook in module._forward_pre_hooks.values():
        kind = type(hook).__name__
        if kind in ("WeightNorm", "SpectralNorm") and hasattr(hook, "name"):
            raise ValueError(
                f"layer {module_name!r} carries the hook-based torch.nn.utils.{kind}, which would overwrite "
                f"{hook.name!r} before each forward; use torch.nn.utils.parametrizations instead"
            )
        if isinstance(hook, BasePruningMethod):
            raise ValueError(
                f"layer {module_name!r} is pruned, and its hook would overwrite {hook._tensor_name!r} before each "
                "forward; initialize it before torch.nn.utils.prune, or after prune.remove"
            )
