"""How Hugging Face transformers initializes: not each module by itself, but the model all modules inside it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from initbench.init.copying import kind_of
from initbench.init.roles import unwrap, value_of

Reset = Callable[[nn.Module], None]


def resets_of(model: nn.Module) -> Callable[[str], Reset | None]:
    """For the name of a module, what initializes a copy of it; None for a module that is in no PreTrainedModel.

    A PreTrainedModel visits each module after those inside it, and may set their parameters again: so GPT-2's blocks
    scale down what they add to the residual stream. The copy is therefore put into an outline of the model, where it
    is the only module that keeps what is written to it.
    """
    if not any(_is_pretrained_model(module) for module in model.modules()):
        return lambda name: None
    outline = _outline(model)
    owners = [name for name, module in outline.named_modules() if _is_pretrained_model(module)]

    def reset_for(name: str) -> Reset | None:
        if any(not owner or f"{name}.".startswith(f"{owner}.") for owner in owners):
            return lambda module: _reset(outline, name, module)
        return None

    return reset_for


def _is_pretrained_model(module: nn.Module) -> bool:
    return any(kind.__name__ == "PreTrainedModel" for kind in type(module).__mro__)


def _reset(outline: nn.Module, name: str, module: nn.Module) -> None:
    """Initialize a copy of the module of this name, as building the model does."""
    if callable(reset := getattr(module, "reset_parameters", None)):
        reset()  # as its constructor does; it stays where the model sets nothing
    above, _, own = name.rpartition(".")
    parent = outline.get_submodule(above) if name else None
    if parent is None:
        _visit([module])
        return
    twin = parent._modules[own]
    parent._modules[own] = module
    try:
        _visit(_along(outline, name))
    finally:
        parent._modules[own] = twin


def _along(model: nn.Module, name: str) -> list[nn.Module]:
    """The model, and the modules inside each other down to the one of this name."""
    parts = name.split(".")
    return [model, *(model.get_submodule(".".join(parts[: end + 1])) for end in range(len(parts)))]


def _visit(modules: list[nn.Module]) -> None:
    """Let the innermost PreTrainedModel around each module initialize it, from the last to the first."""
    owners: list[nn.Module | None] = [None]
    for module in modules:
        owners.append(module if _is_pretrained_model(module) else owners[-1])
    for module, owner in zip(reversed(modules), reversed(owners[1:]), strict=True):
        if owner is not None:
            owner._init_weights(module)  # type: ignore[operator]  # a method


def _outline(module: nn.Module) -> nn.Module:
    """A module of the same kind, attributes and parts, without wrappers, whose tensors have no memory."""
    module = unwrap(module)
    kind = kind_of(module)
    twin = kind.__new__(kind)
    vars(twin).update(vars(module))
    tensors: dict[str, Tensor | None] = {**module._parameters}
    if parametrize.is_parametrized(module):
        tensors |= {key: value_of(module, key) for key in module.parametrizations}  # type: ignore[union-attr]  # a ModuleDict
    twin._parameters = {
        key: None if tensor is None else nn.Parameter(_without_memory(tensor), requires_grad=False)
        for key, tensor in tensors.items()
    }
    twin._buffers = {
        key: None if buffer is None else _without_memory(buffer) for key, buffer in module._buffers.items()
    }
    twin._modules = {
        key: None if part is None else _outline(part)
        for key, part in module._modules.items()
        if key != "parametrizations"
    }
    return twin


def _without_memory(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
