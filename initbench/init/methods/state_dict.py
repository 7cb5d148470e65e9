"""Weights from a file, such as a checkpoint of another training run."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from initbench.errors import nearest
from initbench.init.roles import WRAPPED, bare_name, unwrap
from initbench.schema.target import reason

# What `save_pretrained` of transformers and timm writes into a folder: one file, or an index of several.
_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def state_dict_(model: nn.Module, *, path: str, prefix: str = "", strict: bool = True) -> dict[str, float]:
    """Load parameters and buffers by name from a file written by torch.save or safetensors (`*.safetensors`).

    `path` may also be a folder written by `save_pretrained` of transformers or timm. Nothing in a file is executed
    (`weights_only`). Weights under the keys `state_dict` or `model`, as in checkpoints of Lightning and timm, are
    found. Only names that start with `prefix` are used, and the prefix is removed ("model." for a Lightning
    checkpoint). The signature of a run contains the path, not the content of the file.

    Names are those of the model without torch.compile, DataParallel, DistributedDataParallel and FSDP around it or in
    it, in the file as in the model.

    With strict=False, names that only the file or only the model has, and tensors of another shape (for another number
    of classes), are skipped; at least one tensor must match. Returns `tensors_loaded`.

    Raises ValueError for a file that cannot be read, and for names and shapes that do not match.

    Source: none; torch.load and safetensors.
    Acts on: every parameter and buffer that the file has.
    """
    state, own = read_tensors(model, path, prefix)
    missing, surplus = [name for name in own if name not in state], [name for name in state if name not in own]
    misshaped = [name for name in own if name in state and state[name].shape != own[name].shape]
    matching = [name for name in own if name in state and name not in misshaped]
    if strict and missing:
        hint = nearest(missing[0], surplus) or f" It has {', '.join(surplus[:3])}." if surplus else ""
        raise ValueError(f"{path} lacks {len(missing)} of {len(own)} tensors, {missing[0]!r} first.{hint}")
    if strict and surplus:
        raise ValueError(f"{path} holds {len(surplus)} tensors that the model does not have, {surplus[0]!r} first")
    if strict and misshaped:
        name = misshaped[0]
        raise ValueError(f"{path}: {name} has shape {tuple(state[name].shape)}, the model's {tuple(own[name].shape)}")
    if not matching:
        raise ValueError(f"{path}: no name and shape matches the model's ({', '.join(list(own)[:3])}, ...)")
    with torch.no_grad():
        for name in matching:
            own[name].copy_(state[name])
    return {"tensors_loaded": len(matching)}


def read_tensors(model: nn.Module, path: str, prefix: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of a file or folder whose names start with `prefix`, and those of the model, which may be written.

    Both by the names that they have without wrappers, in the file also without the prefix. Raises ValueError for a file
    that cannot be read.
    """
    state = {name.removeprefix(prefix): value for name, value in _read(path).items() if name.startswith(prefix)}
    own = {bare_name(model, name): tensor for name, tensor in model.state_dict().items()}
    if all(name.startswith("module.") for name in state) and not any(name.startswith("module.") for name in own):
        # Saved from a DataParallel or DDP.
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    # A file of a transformers model without its head: in a model with a head, it is a part with this name.
    base = f"{getattr(unwrap(model), 'base_model_prefix', '')}."
    if any(base + name in own for name in state):
        state = {f"{base}{name}": tensor for name, tensor in state.items()}
    return state, own


def _read(path: str) -> dict[str, Tensor]:
    if (Path(path) / _WHOLE).is_file():
        return _read(str(Path(path) / _WHOLE))
    if (Path(path) / _INDEX).is_file():
        return {name: value for part in _parts(Path(path) / _INDEX) for name, value in _read(str(part)).items()}
    if path == "???":  # as the option has it
        raise ValueError("path has no value yet: give one, path=/path/to/weights.safetensors")
    if not Path(path).is_file():
        what = f": it is a folder without {_WHOLE} or {_INDEX}" if Path(path).is_dir() else ""
        raise ValueError(f"there is no file {str(Path(path).absolute())!r} to load weights from{what}")
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file  # optional: only this initializer needs it

            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file may fail in pickle, zip, safetensors or torch
        expected = "expected one of torch.save, or of safetensors if its name ends in .safetensors"
        raise ValueError(f"{path} is not a file of weights: {expected} ({reason(error)})") from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path} does not hold a state_dict, a mapping of names to tensors")
    # The model that was saved may have been compiled or sharded, as a whole or in parts.
    return {".".join(part for part in name.split(".") if part not in WRAPPED): content[name] for name in content}


def _parts(index: Path) -> list[Path]:
    """The files that an index lists."""
    try:
        files = json.loads(index.read_text("utf-8"))["weight_map"].values()
        return [index.parent / name for name in sorted(set(files))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} is not an index of weights, with a weight_map of names to files") from error
