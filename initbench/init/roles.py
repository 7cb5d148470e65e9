"""Roles: what a parameter is for, determined from its module. `walk` lists every parameter exactly once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

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
    """The module itself, without torch.compile, DataParallel, DistributedDataParallel and FSDP around it."""
    while (inner := _WRAPPERS.get(type(model).__name__)) is not None:
        model = model.get_submodule(inner)
    return model


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

    Raises ValueError for the hook-based weight_norm and spectral_norm of torch.nn.utils: they overwrite the weight
    before each forward pass, so initializing it would have no effect.
    """
    seen: set[object] = set()
    for module_name, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList):
            continue  # its originals are listed under the name of the parametrized tensor
        module_name = bare_name(model, module_name)
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
    with ExitStack() as stack:
        if parametrize.is_parametrized(module, key):
            stack.enter_context(evaluating(module.parametrizations[key]))
        tensor: Tensor = getattr(module, key)
    return tensor


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Inside, the module and all of its parts are in evaluation mode; afterwards each is in the one that it was in."""
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


def storage_of(parameter: Tensor) -> object:
    """A key that is equal for tied parameters, which are one object or share their memory."""
    if is_lazy(parameter) or parameter.device.type == "meta" or parameter.numel() == 0:
        return id(parameter)  # the address of a tensor without memory is always 0
    return parameter.device, parameter.data_ptr()


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalization layer: torch's, a subclass of those, or any RMS norm."""
    return isinstance(module, _NORMS) or type(module).__name__.endswith(("RmsNorm", "RMSNorm"))


def is_packed_projection(module: nn.Module, module_name: str) -> bool:
    """Whether a linear layer computes query, key and value in one, named as in timm's or nanoGPT's attentions."""
    return (
        isinstance(module, nn.Linear)
        and module_name.rpartition(".")[2] in ("qkv", "c_attn")
        and module.out_features == 3 * module.in_features
    )


def _refuse_hooked(module_name: str, module: nn.Module) -> None:
    for hook in module._forward_pre_hooks.values():
        kind = type(hook).__name__
        if kind in ("WeightNorm", "SpectralNorm") and hasattr(hook, "name"):
            raise ValueError(
                f"layer {module_name!r} carries the hook-based torch.nn.utils.{kind}, which would overwrite "
                f"{hook.name!r} before each forward; use torch.nn.utils.parametrizations instead"
            )
