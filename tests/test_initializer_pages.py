"""The pages of single initializers, which `make docs` writes: their models, numbers, pictures and commands."""

import re
import shlex
from pathlib import Path

import initializer_pages
import pytest
from configs import resolved
from initializer_signal import measure
from initializer_stacks import CNNS, DEPTH, MLPS, WITHOUT_PICTURES, stacks_of
from page_blocks import blocks

from initbench.config.check import check
from initbench.init import options
from initbench.init.listing import entries

RELU, TANH = MLPS
SHOWN = ("siren", "looks_linear", "irnn", "state_dict")  # two models, one of which is refused; steps; no picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the pages."""
    written = tmp_path_factory.mktemp("initializers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initializer_pages, "FOLDER", written)
        for entry in entries():
            if entry.name in SHOWN:
                initializer_pages.write(entry)
        (written / "index.md").write_text(initializer_pages.gallery())
    return written


def test_he_keeps_the_signal_of_relus_and_xavier_halves_its_square_at_each_layer() -> None:
    he, xavier = measure("kaiming_normal", RELU), measure("xavier_normal", RELU)
    assert 0.4 < he.signal[-1] / he.signal[0] < 2.5
    assert xavier.signal[-1] / xavier.signal[0] == pytest.approx(2 ** (-(DEPTH - 1) / 2), rel=1)
    assert xavier.gradient[0] == pytest.approx(2 ** (-(DEPTH - 1) / 2), rel=1)


def test_looks_linear_is_an_orthogonal_map() -> None:
    found = measure("looks_linear", RELU)
    assert found.signal == pytest.approx([found.signal[0]] * DEPTH, rel=1e-4)
    assert found.gradient == pytest.approx([1] * DEPTH, rel=0.02)
    assert "tanh" in measure("looks_linear", TANH).refusal


def test_what_passes_through_a_layer_is_followed() -> None:
    found = measure("delta_orthogonal", CNNS[0])
    assert len(found.signal) == len(found.gradient) == DEPTH
    assert found.gradient[-1] == pytest.approx(1, rel=0.05)  # what is sent back
    zero = measure("zeros", RELU)
    assert set(zero.signal) == {0}
    assert set(zero.gradient[:-1]) == {0}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in options() if name not in WITHOUT_PICTURES])
def test_every_initializer_works_on_one_of_its_models(name: str) -> None:
    found = [measure(name, stack) for stack in stacks_of(name)]
    assert any(not one.refusal for one in found)
    assert all(len(one.signal) == DEPTH for one in found if not one.refusal)


# One initializer for each model.
@pytest.mark.parametrize("name", {stacks_of(name)[0].command: name for name in options()}.values())
def test_the_command_of_a_page_composes(name: str) -> None:
    typed = shlex.split(initializer_pages.command(name))
    assert check(resolved(*typed), typed).init.name == name


def test_pictures_are_small_and_the_same_each_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = sorted(folder.glob("*.svg"))
    assert len(pictures) == 9
    for picture in pictures:
        assert len(picture.read_bytes()) < 20_000
        assert "/tmp" not in picture.read_text()
    monkeypatch.setattr(initializer_pages, "FOLDER", tmp_path)
    initializer_pages.write(next(entry for entry in entries() if entry.name == "siren"))
    for picture in tmp_path.glob("*.svg"):
        assert picture.read_bytes() == (folder / picture.name).read_bytes()


def test_a_page_has_a_picture_for_each_link_and_every_key(folder: Path) -> None:
    for name in SHOWN:
        text = (folder / f"{name}.md").read_text()
        links = re.findall(r"!\[[^\]]+\]\((.+?)\)", text)
        assert all((folder / link).exists() for link in links)
        assert bool(links) == (name not in WITHOUT_PICTURES)
        assert len(list(blocks(folder / f"{name}.md"))) == text.count("```") // 2
    assert "| `init.omega` | a number | `30.0` |" in (folder / "siren.md").read_text()
    assert "is refused: linear1.weight" in (folder / "looks_linear.md").read_text()


def test_the_gallery_has_every_page(folder: Path) -> None:
    text = (folder / "index.md").read_text()
    assert all(f"]({name}.md)" in text for name in SHOWN)
