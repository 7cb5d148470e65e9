"""All causal language models of Hugging Face transformers by their names; pretrained weights are never loaded."""

import copy
from dataclasses import Field, fields
from types import NoneType
from typing import Any, get_args

import torch
from torch import Tensor, nn

from initbench.errors import nearest, unknown

# How configurations call the longest text, if they limit it.
_LENGTHS = ("max_position_embeddings", "max_seq_len")

# Nothing is generated, and no text is padded: the embedding of a padding token would be zero and never trained.
_SPECIAL_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")


def hugging_face_model(
    *, vocab_size: int, context_length: int, architecture: str, config: dict[str, Any] | None
) -> nn.Module:
    """The model that `AutoModelForCausalLM.from_config` makes (Wolf et al. 2020), which returns logits alone.

    architecture: a model_type, such as gpt2 or llama. config: keys of its configuration class, whose defaults are the
    sizes of a published model. Vocabulary and context length are those of the data, and there are no special tokens
    unless `config` has some.

    Raises ValueError if transformers is not installed, for an unknown architecture or key, for values that the
    configuration does not allow, and for a model that sees the tokens that it has to predict.
    """
    try:
        import transformers  # optional, and takes seconds to import
    except ImportError as error:
        raise ValueError("transformers is not installed: pip install 'initbench[transformers]'") from error
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as NAMES

    if architecture not in NAMES:
        raise ValueError(
            f"unknown architecture {architecture!r} of transformers.{nearest(architecture, NAMES)} "
            "https://huggingface.co/docs/transformers/model_doc/auto lists them under AutoModelForCausalLM"
        )
    kind = transformers.CONFIG_MAPPING[architecture]
    common = {field.name for field in fields(transformers.PreTrainedConfig)}
    own = {field.name: field for field in fields(kind) if field.name not in common}
    if "vocab_size" not in own:
        text_model = nearest(f"{architecture}_text", NAMES)
        raise ValueError(f"{architecture} has no vocab_size of its own, so it is not a model of texts alone.{text_model}")
    aliases: dict[str, str] = kind.attribute_map
    typed = {}
    for key, value in (config or {}).items():
        if key not in own and key not in aliases:
            raise unknown("key of model.config", key, [*own, *aliases])
        typed[aliases.get(key, key)] = value

    fixed = _fixed(own, aliases, vocab_size, context_length)
    for key, value in fixed.items():
        if typed.get(key, value) != value:
            raise ValueError(f"model.config.{key} is {value}, not {typed[key]!r}: leave it out")
    absent = {key: None for key in _SPECIAL_TOKENS if key in own and NoneType in get_args(own[key].type)}
    try:
        model = transformers.AutoModelForCausalLM.from_config(kind(**{**absent, **typed, **fixed}))
    except Exception as error:  # any exception of a configuration or constructor is the reason
        raise ValueError(" ".join(str(error).split())) from error
    model.register_forward_hook(_logits)
    if context_length > 1 and _looks_ahead(model, context_length):
        raise ValueError("it sees the tokens that it has to predict, so it is not a causal language model")
    return model


def _fixed(
    own: dict[str, Field[Any]], aliases: dict[str, str], vocab_size: int, context_length: int
) -> dict[str, int | bool]:
    """What the data and training decide. Encoders such as BERT are causal as decoders."""
    fixed: dict[str, int | bool] = {"vocab_size": vocab_size, "use_cache": False, "is_decoder": True}
    for key in _LENGTHS:
        if key in own or key in aliases:
            fixed[aliases.get(key, key)] = context_length
            break
    return {key: value for key, value in fixed.items() if key in own}


def _logits(model: nn.Module, inputs: tuple[Any, ...], output: Any) -> Tensor:
    logits: Tensor = output.logits
    return logits


def _looks_ahead(model: nn.Module, context_length: int) -> bool:
    """Whether the logits of two texts differ before the last token, in which alone the texts do."""
    texts = torch.zeros(2, context_length, dtype=torch.int64)
    texts[1, -1] = 1
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        one, other = copy.deepcopy(model).eval()(texts)[:, :-1]
    return not torch.allclose(one, other, rtol=1e-4, atol=1e-5 * float(one.abs().max()))
