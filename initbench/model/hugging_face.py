"""All causal language models of Hugging Face transformers by their names; pretrained weights are never loaded."""

import copy
from collections.abc import Mapping
from dataclasses import fields
from textwrap import shorten
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import Tensor, nn

from initbench.errors import nearest

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# How configurations call the length of the longest text; some have none.
_LENGTHS = ("max_position_embeddings", "max_seq_len")

# Nothing is generated and nothing is padded: the embedding of a padding token would be zero and never trained.
_SPECIAL_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")


def hugging_face_model(
    *, vocab_size: int, context_length: int, architecture: str, config: dict[str, Any] | None
) -> nn.Module:
    """`AutoModelForCausalLM.from_config` (Wolf et al. 2020), of which the logits alone are returned.

    architecture: its `model_type`, such as gpt2 or llama. config: keys of its configuration class, whose defaults are
    those of a published model. The vocabulary and the longest text are those of the data; no token is special unless
    `config` says so.

    Raises ValueError if transformers is not installed, for an unknown architecture or key, for values with which the
    model cannot be built, and for a model that sees the tokens that it is to predict.
    """
    try:
        import transformers  # optional, and takes seconds to import
    except ImportError as error:
        raise ValueError("transformers is not installed: pip install 'initbench[transformers]'") from error
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as MODELS

    if architecture not in MODELS:
        raise ValueError(
            f"unknown transformers architecture {architecture!r}.{nearest(architecture, MODELS)} "
            "transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES lists them all"
        )
    kind = transformers.CONFIG_MAPPING[architecture]
    common = {field.name for field in fields(transformers.PreTrainedConfig)}
    types = {field.name: field.type for field in fields(kind) if field.name not in common}
    if "vocab_size" not in types:
        raise ValueError(
            f"{kind.__name__} has no vocab_size, so it is not that of a model of text alone."
            f"{nearest(f'{architecture}_text', MODELS)}"
        )
    given = _of_the_data(kind, types, vocab_size, context_length)
    typed = _typed(kind, types, config or {}, given)
    absent = {key: None for key in _SPECIAL_TOKENS if NoneType in get_args(types.get(key))}
    try:
        model: nn.Module = transformers.AutoModelForCausalLM.from_config(kind(**{**absent, **typed, **given}))
        model.register_forward_hook(_logits)
        looks_ahead = _looks_ahead(model, context_length)
    except Exception as error:  # any exception of theirs is the reason
        said = shorten(str(error), 300)
        raise ValueError(f"KeyError: {said}" if isinstance(error, KeyError) else said) from error
    if looks_ahead:
        raise ValueError("it sees the tokens that it is to predict, so it is not a causal language model")
    return model


def _of_the_data(
    kind: "type[PreTrainedConfig]", types: Mapping[str, Any], vocab_size: int, context_length: int
) -> dict[str, int | bool]:
    """The keys that the data decides; and those that make an encoder such as BERT causal, and save memory."""
    given: dict[str, int | bool] = {"vocab_size": vocab_size, "is_decoder": True, "use_cache": False}
    lengths = [kind.attribute_map.get(key, key) for key in _LENGTHS]
    given |= {key: context_length for key in lengths if key in types}
    return {key: value for key, value in given.items() if key in types}


def _typed(
    kind: "type[PreTrainedConfig]", types: Mapping[str, Any], config: Mapping[str, Any], given: Mapping[str, int | bool]
) -> dict[str, Any]:
    """The keys of `config` under their own names. Raises ValueError for an unknown one, and for another value."""
    names = {**kind.attribute_map, **{name: name for name in types}}
    for key, value in config.items():
        if key not in names:
            listed = ", ".join(sorted(types.keys() - given.keys()))
            raise ValueError(f"unknown key model.config.{key}.{nearest(key, names)} {kind.__name__} takes: {listed}")
        if value != given.get(names[key], value):
            raise ValueError(f"model.config.{key} must be {given[names[key]]}, got {value}; it may be left out")
    return {names[key]: value for key, value in config.items()}


def _logits(model: nn.Module, inputs: tuple[Any, ...], output: Any) -> Tensor:
    logits: Tensor = output.logits
    return logits


@torch.no_grad()
def _looks_ahead(model: nn.Module, context_length: int) -> bool:
    """Whether the last token of a text changes the logits before it. The model that is asked has not run."""
    texts = torch.zeros(2, context_length, dtype=torch.int64)
    texts[1, -1] = 1
    with torch.random.fork_rng(devices=[]):
        one, other = copy.deepcopy(model).eval()(texts)[:, :-1]
    return not torch.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True)
