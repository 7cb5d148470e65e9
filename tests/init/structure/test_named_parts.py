"""The parts of causal language models of Hugging Face transformers, as their attributes are named there."""

import re

import pytest

from initbench.init.structure.named_parts import PARTS, part_of_each
from initbench.init.structure.parts import Parts
from initbench.model.hugging_face import hugging_face_model
from initbench.model.libraries import timm_model

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
LLAMA = {**SMALL, "num_key_value_heads": 1, "intermediate_size": 24, "tie_word_embeddings": False}
CONFIGS = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2},
    "llama": LLAMA,
    "gpt_neox": {**SMALL, "intermediate_size": 48},
    "gptj": {"n_embd": 16, "n_layer": 2, "n_head": 2, "rotary_dim": 4},
}
NAMED = {
    "positions": "wpe",
    "embedding": "wte|embed_(tokens|in)",
    "norms": r"norm|ln_",
    "qkv": r"[qkv]_proj|c_attn|query_key_value",
    "attention_out": r"o_proj|out_proj|attn\.c_proj|attention\.dense\b",
    "mlp_in": "gate_proj|up_proj|c_fc|fc_in|dense_h_to_4h",
    "mlp_out": r"down_proj|mlp\.c_proj|fc_out|dense_4h_to_h",
    "head": "lm_head|embed_out",
}


@pytest.mark.parametrize("architecture", CONFIGS)
def test_parts_are_what_their_names_say(architecture: str) -> None:
    model = hugging_face_model(vocab_size=23, context_length=8, architecture=architecture, config=CONFIGS[architecture])
    found = part_of_each(Parts(model))
    for name, part in found.items():
        own = next(each for each, pattern in NAMED.items() if re.search(pattern, name))
        assert part == own, name
    assert {*found} == {name for name, _ in model.named_parameters()}
    assert {*found.values()} <= {*PARTS}


def test_a_matrix_of_no_layer_is_in_no_part() -> None:
    experts = {**LLAMA, "num_local_experts": 2, "num_experts_per_tok": 1}
    model = hugging_face_model(vocab_size=23, context_length=8, architecture="mixtral", config=experts)
    with pytest.raises(ValueError, match="is multiplied outside of a layer"):
        part_of_each(Parts(model))


def test_what_is_nothing_else_is_other() -> None:
    size = {"patch_size": 16, "embed_dim": 16, "depth": 1, "num_heads": 2, "init_values": 0.1}
    model = timm_model(in_channels=3, image_size=32, num_classes=5, architecture="vit_tiny_patch16_224", **size)
    found = part_of_each(Parts(model))
    assert found["cls_token"] == found["blocks.0.ls1.gamma"] == "other"
    assert found["pos_embed"] == "positions"
    assert found["patch_embed.proj.bias"] == "input"
    assert found["head.bias"] == "head"
