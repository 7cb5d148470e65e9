"""Roles: what a parameter is for, told from its module. One walk lists every parameter exactly once."""

from collections.abc import Iterator
from typing import NamedTuple

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


class Found(NamedTuple):
    name: str  # "layer1.0.conv1.weight", also for a parametrized weight, whose storage is named differently
    module_name: str
    module: nn.Module
    key: str
    tensor: Tensor
    role: str
    parametrized: bool


def walk(model: nn.Module) -> Iterator[Found]:
    """Every parameter of the model once, in registration order; shared storage under its first name.

    Raises ValueError for the hook-based weight_norm and spectral_norm of torch.nn.utils, which overwrite
    the weight before each forward: initializing it would be a silent no-op.
    """
    seen: set[object] = set()
    for module_name, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList):
            continue  # its originals are listed under the name of the tensor that they make up
        _refuse_hooked(module_name, module)
        prefix = f"{module_name}." if module_name else ""
        for key, parameter in module.named_parameters(recurse=False):
            if (storage := storage_of(parameter)) not in seen:
                seen.add(storage)
                yield Found(prefix + key, module_name, module, key, parameter, role_of(module, key, module_name), False)
        if parametrize.is_parametrized(module):
            for key, originals in module.parametrizations.items():
                own = {storage_of(parameter) for parameter in originals.parameters(recurse=False)}
                if own and not own & seen:
                    seen |= own
                    tensor = getattr(module, key)
                    yield Found(prefix + key, module_name, module, key, tensor, role_of(module, key, module_name), True)


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
    if key == "weight" and (isinstance(module, _WEIGHTED) or getattr(module, key).dim() >= 2):
        return "weight"
    return "other"


def storage_of(parameter: Tensor) -> object:
    """Equal for parameters that are one memory: tied by being one object, or by sharing its storage."""
    if is_lazy(parameter) or parameter.device.type == "meta" or parameter.numel() == 0:
        return id(parameter)  # without memory, all addresses are 0
    return parameter.device, parameter.data_ptr()


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalizes and may scale and shift: torch's, timm's subclasses, and any RMS norm."""
    return isinstance(module, _NORMS) or type(module).__name__.endswith(("RmsNorm", "RMSNorm"))


def is_packed_projection(module: nn.Module, module_name: str) -> bool:
    """Whether a linear layer is query, key and value in one: timm's and nanoGPT's attentions call it so."""
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
