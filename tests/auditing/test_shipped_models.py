"""Models as their libraries ship them have no error: what an audit calls one would be its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn
from torchvision import models

from initbench.auditing.audit import CHECKS
from initbench.auditing.subject import Subject

LISTED = [line.split() for line in Path(__file__).with_name("shipped_models.txt").read_text().splitlines()]
TRANSFORMERS = ("BertModel", "GPT2LMHeadModel", "LlamaForCausalLM", "ViTModel")
SMALL = {
    "vocab_size": 100,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}


def errors(make: Callable[[], nn.Module]) -> list[str]:
    subject = Subject(make)
    found = [finding for check in CHECKS for finding in check(subject)]
    assert subject.only_once == ""
    return [f"{each.parameter}: {each.check}: {each.reason}" for each in found if each.severity == "error"]


def test_there_are_a_hundred() -> None:
    assert len({*map(tuple, LISTED)}) >= 100


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name: str) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `transformers`")
    kind = getattr(transformers, name)
    config = kind.config_class(**SMALL)
    assert errors(lambda: kind(config)) == []


@pytest.mark.slow
@pytest.mark.parametrize("library, name", LISTED)
def test_vision(library: str, name: str) -> None:
    timm = pytest.importorskip("timm", reason="needs the extra `timm`")
    make = timm.create_model if library == "timm" else models.get_model
    assert errors(lambda: make(name)) == []
