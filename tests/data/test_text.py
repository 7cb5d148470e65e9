"""Texts: made, read from a file, and given as token ids."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from initbench import CONF
from initbench.data import Tokens, build, text_file, text_mini, tokens
from initbench.data.sentences import entropy, words
from initbench.data.windows import TokenData


def test_words_of_numbers() -> None:
    known = {0: "zero", 13: "thirteen", 40: "forty", 99: "ninety-nine", 100: "one hundred", 909: "nine hundred nine"}
    known |= {1000: "one thousand", 1010: "one thousand ten", 9999: "nine thousand nine hundred ninety-nine"}
    assert {number: words(number) for number in known} == known


def test_the_made_text_is_of_any_size_and_always_the_same() -> None:
    text = text_mini(size=5000, context_length=16)
    assert (len(text.train), len(text.test)) == (5000, 501)
    assert torch.equal(text.train, text_mini(size=5000, context_length=32).train)
    assert torch.equal(text_mini(size=900, context_length=16).train, text.train[:900])


def test_the_entropy_of_the_made_text_is_that_of_its_lines() -> None:
    """Lines of a kind are equally likely: the least loss of a line is ln 3 + ln of how many of its kind there are."""
    text = text_mini(size=400_000, context_length=64)
    from initbench.data.sentences import _lines

    characters = sorted(set("".join(map("".join, _lines()))))
    lines = "".join(characters[number] for number in text.train.tolist()).split("\n")[:-1]
    size_of = {kind: len(lines) for kind, lines in zip(("+", "is ", "-"), _lines(), strict=True)}

    def kind(line: str) -> str:
        return "+" if "+" in line else "-" if line[:4].isdigit() and line[4:5] == "-" else "is "

    losses = [math.log(3) + math.log(size_of[kind(line)]) for line in lines]
    measured = sum(losses) / sum(len(line) + 1 for line in lines)
    assert measured == pytest.approx(entropy(), rel=0.01)
    assert f"{entropy():.3f} nats per character" in (CONF.parent / "docs" / "reference" / "tasks.md").read_text()
    shares = Counter(map(kind, lines))
    assert all(share / len(lines) == pytest.approx(1 / 3, abs=0.02) for share in shares.values())
    assert len({line for of_kind in _lines() for line in of_kind}) == sum(map(len, _lines()))  # none is there twice


def test_targets_are_the_tokens_that_follow() -> None:
    text = Tokens(torch.arange(20), torch.arange(9), 20, 4)
    inputs, targets = text.windows("train")
    assert inputs.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert torch.equal(targets, inputs + 1)
    assert text.sizes.train_size == len(inputs)
    assert text.windows("test")[1].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_the_end_of_the_training_text_is_held_out(settings: dict[str, Any]) -> None:
    source = {"_target_": "initbench.data.text_mini", "size": 2000, "context_length": 10}
    found = build({**settings, **source, "val_size": 0.1}, seed=0)
    assert isinstance(found, TokenData)
    assert found.train.tolist() == list(range(179))
    assert found.val.tolist() == list(range(179, 199))
    inputs, _ = next(iter(found.loader("train", torch.device("cpu"))))
    assert found.prepare(inputs).dtype == torch.int64


def test_a_file_is_read_by_characters_or_bytes(tmp_path: Path) -> None:
    content = "Süß ist die Nähe, \U0001f600 weit der Weg.\n" * 20
    (tmp_path / "weg.txt").write_text(content, encoding="utf-8")
    of_characters = text_file(str(tmp_path), "weg.txt", 8)
    assert of_characters.vocab_size == len(set(content))
    assert len(of_characters.train) + len(of_characters.test) == len(content)
    known = sorted(set(content))
    assert "".join(known[number] for number in of_characters.test.tolist()) == content[-len(of_characters.test) :]
    of_bytes = text_file(str(tmp_path), str(tmp_path / "weg.txt"), 8, level="bytes", test_size=0.5)
    assert of_bytes.vocab_size == 256
    assert bytes([*of_bytes.train.tolist(), *of_bytes.test.tolist()]) == content.encode()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64"])
def test_token_ids_stay_on_disk(tmp_path: Path, dtype: str, settings: dict[str, Any]) -> None:
    ids = (np.arange(3000) % 251).astype(dtype)
    ids.tofile(tmp_path / "train.bin")
    np.save(tmp_path / "test.npy", ids[:500])
    source = {"_target_": "initbench.data.tokens", "root": str(tmp_path), "train": "train.bin", "test": "test.npy"}
    keys = {"dtype": dtype, "context_length": 20, "batch_size": 4}
    batches = {}
    for stream in (False, True):
        found = build({**settings, **source, **keys, "stream": stream}, seed=3)
        assert found.sizes.vocab_size == 251
        batches[stream] = [
            (found.prepare(inputs), targets.long()) for inputs, targets in found.loader("train", torch.device("cpu"))
        ]
    assert len(batches[True]) == len(batches[False]) > 20
    for one, other in zip(*batches.values(), strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], (one[0] + 1) % 251)


@pytest.mark.parametrize("order", ["<", ">"])
def test_ids_of_either_byte_order_are_read(tmp_path: Path, order: str) -> None:
    ids = np.array([300, 2, 1, 299, 5], f"{order}i4")
    np.save(tmp_path / "ids.npy", ids)
    found = tokens(str(tmp_path), "ids.npy", "ids.npy", 2)
    assert found.train.tolist() == ids.tolist()
    assert found.vocab_size == 301


@pytest.mark.parametrize("name", ["ids.bin", "ids.npy"])
def test_files_of_ids_are_never_written(tmp_path: Path, name: str) -> None:
    if name == "ids.bin":
        np.arange(9, dtype=np.uint16).tofile(tmp_path / name)
    else:
        np.save(tmp_path / name, np.arange(9))
    before = (tmp_path / name).read_bytes()
    found = tokens(str(tmp_path), name, name, 2)
    found.train.fill_(0)
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("largest_in", ["train.npy", "test.npy"])
def test_the_vocabulary_is_that_of_both_texts_or_the_one_stated(tmp_path: Path, largest_in: str) -> None:
    for name in ("train.npy", "test.npy"):
        np.save(tmp_path / name, np.arange(9) + (40 if name == largest_in else 0))
    assert tokens(str(tmp_path), "train.npy", "test.npy", 2).vocab_size == 49
    assert tokens(str(tmp_path), "train.npy", "test.npy", 2, vocab_size=99).vocab_size == 99


def write(folder: Path) -> None:
    (folder / "short.txt").write_text("too short")
    (folder / "empty.txt").write_text("")
    (folder / "latin.txt").write_bytes("eins\nzwei\nfünf\n".encode("latin-1") * 50)
    np.arange(99, dtype=np.uint16).tofile(folder / "ids.bin")
    np.save(folder / "ids.npy", np.arange(99))
    np.save(folder / "square.npy", np.zeros((9, 9), int))
    np.save(folder / "floats.npy", np.zeros(99))
    (folder / "odd.bin").write_bytes(b"abc")
    (folder / "nothing.bin").write_bytes(b"")
    (folder / "broken.npy").write_bytes(b"no array")
    (folder / "nothing.npy").write_bytes(b"")
    np.savez(folder / "several.npz", np.arange(99))
    (folder / "several.npz").rename(folder / "several.npy")


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"file": None}, "data.file is not set"),
        ({"file": "shrt.txt"}, r"there is no file .*shrt.txt'. Did you mean 'short.txt'"),
        ({"file": "short.txt"}, r"short.txt: the train text has 8 tokens, no more than data.context_length=8"),
        ({"file": "empty.txt"}, r"empty.txt: the train text has 0 tokens"),
        ({"file": "empty.txt", "level": "bytes"}, r"empty.txt: the train text has 0 tokens"),
        ({"file": "latin.txt"}, r"latin.txt is no UTF-8 text \(line 3\); data.level=bytes reads any file"),
        ({"train": None}, "data.train is not set"),
        ({"train": "ids.bin"}, "data.test is not set"),
        ({"train": "ids.bin", "test": "ids.txt"}, r"there is no file .*ids.txt"),
        ({"train": "nothing.bin", "test": "ids.npy"}, r"nothing.bin has 0 bytes, which is no number of uint16 ids"),
        ({"train": "odd.bin", "test": "ids.npy"}, r"odd.bin has 3 bytes, which is no number of uint16 ids"),
        ({"train": "broken.npy", "test": "ids.npy"}, r"broken.npy cannot be read as npy"),
        ({"train": "nothing.npy", "test": "ids.npy"}, r"nothing.npy cannot be read as npy"),
        ({"train": "several.npy", "test": "ids.npy"}, r"several.npy cannot be read as npy"),
        (
            {"train": "square.npy", "test": "ids.npy"},
            r"square.npy must hold integers of one dimension, got int64 \(9, 9\)",
        ),
        ({"train": "floats.npy", "test": "ids.npy"}, r"floats.npy must hold integers of one dimension, got float64"),
        ({"train": "short.txt", "test": "ids.npy"}, r"short.txt must be a .npy or a .bin file"),
        ({"train": "ids.bin", "test": "ids.npy", "vocab_size": 50}, r"tokens must lie in \[0, 49\], got \[0, 98\]"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    write(tmp_path)
    with pytest.raises(ValueError, match=said):
        if "file" in keys:
            text_file(str(tmp_path), **keys, context_length=8)
        else:
            tokens(str(tmp_path), **{"test": None, **keys}, context_length=8)


def test_a_file_that_has_changed_is_read_again_in_the_same_process(tmp_path: Path, settings: dict[str, Any]) -> None:
    source = {"_target_": "initbench.data.text_file", "root": str(tmp_path), "file": "a.txt", "context_length": 8}
    (tmp_path / "a.txt").write_text("abc" * 200)
    first, again = build({**settings, **source}, seed=0), build({**settings, **source}, seed=1)
    assert isinstance(first, TokenData)
    assert isinstance(again, TokenData)
    assert first.tokens is again.tokens
    (tmp_path / "a.txt").write_text("abcd" * 200)
    assert build({**settings, **source}, seed=0).sizes.vocab_size == 4
