"""Which code counts as the user's own, and what an edit of it changes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from initbench import CONF
from initbench.config.check import check
from initbench.config.resolve import resolve
from initbench.config.source import named_sources, source_digest, source_digests
from initbench.record.signature import setting, signature


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path with a module and a package; importing either fails."""
    (tmp_path / "written.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "parts" / "deep").mkdir(parents=True)
    (tmp_path / "parts" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "parts" / "deep" / "nets.py").write_text("net = 1")
    monkeypatch.syspath_prepend(tmp_path)
    source_digest.cache_clear()
    yield tmp_path
    source_digest.cache_clear()


def resolved(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
    return resolve(config, config.hydra)


def edit(path: Path, content: str) -> None:
    """As between two processes: what this one has read is forgotten."""
    path.write_text(content)
    source_digest.cache_clear()


@pytest.mark.parametrize(
    "target",
    ["written.fill_", "written", "written.Class.method", "written:fill_", "parts.build", "parts.deep.nets.Net"],
)
def test_a_module_outside_installed_packages_counts_and_is_not_imported(own: Path, target: str) -> None:
    digest = source_digest(target)
    assert digest is not None
    assert len(digest) == 10
    assert not {"written", "parts"} & set(sys.modules)


def test_the_file_is_that_of_the_module_and_not_of_the_packages_above(own: Path) -> None:
    before = source_digest("parts.deep.nets.Net"), source_digest("parts.build")
    edit(own / "parts" / "__init__.py", "")
    assert source_digest("parts.deep.nets.Net") == before[0]
    assert source_digest("parts.build") != before[1]


@pytest.mark.parametrize(
    "target",
    [
        "torch.optim.Adam",
        "torch.nn.init.normal_",
        "math.sqrt",
        "sys.exit",
        "json.loads",
        "os.path.join",
        "initbench.model.MLP",
        "parts.deep",  # a folder without a file
        "no_such_module.fn",
        "__main__.fn",
        "not a name",
        "a..b",
        "",
    ],
)
def test_everything_else_does_not(own: Path, target: str) -> None:
    assert source_digest(target) is None


def test_an_installed_package_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    (folder / "third_party.py").write_text("")
    monkeypatch.syspath_prepend(folder)
    assert source_digest("third_party.fn") is None


def test_torch_is_not_imported_to_look_for_a_target() -> None:
    code = (
        "import sys; from initbench.config.source import source_digest; source_digest('torch.optim.Adam');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "overrides",
    [
        ["init=normal", "init._target_=written.fill_"],
        ["init=normal", "init.bias={_target_: written.fill_}"],
        ["init=normal", "init.rules=[{match: conv1, weight: {_target_: written.fill_, std: 1}}]"],
    ],
)
def test_an_edited_initializer_is_another_run_of_the_same_setting(own: Path, overrides: list[str]) -> None:
    before = resolved(*overrides)
    assert set(before["source"]) == {"init"}
    assert named_sources(before)["written.fill_"] == before["source"]["init"]
    assert check(before).source == before["source"]
    edit(own / "written.py", "other = 1")
    after = resolved(*overrides)
    assert signature(after) != signature(before)
    assert setting(after) == setting(before)


@pytest.mark.parametrize("group", ["model", "data", "optimizer", "scheduler"])
def test_other_edited_code_is_another_setting(own: Path, group: str) -> None:
    before = resolved(f"{group}._target_=written.make")
    assert set(before["source"]) == {group}
    edit(own / "written.py", "other = 1")
    after = resolved(f"{group}._target_=written.make")
    assert setting(after) != setting(before)


def test_what_cannot_change_the_numbers_does_not_count(own: Path) -> None:
    assert "source" not in resolved("logger=csv", "logger._target_=written.logger")


def test_two_modules_of_a_group_count_both(own: Path) -> None:
    overrides = ["init=normal", "init._target_=written.fill_", "init.bias={_target_: parts.deep.nets.fill_}"]
    before = source_digests(resolved(*overrides))
    edit(own / "parts" / "deep" / "nets.py", "net = 2")
    assert source_digests(resolved(*overrides)) != before


def test_a_config_without_own_code_is_as_it_was(own: Path) -> None:
    assert "source" not in resolved()


def test_a_process_keeps_to_the_source_that_it_has_read(own: Path) -> None:
    before = source_digest("written.fill_")
    (own / "written.py").write_text("edited = 1")
    assert source_digest("written.fill_") == before  # since Python too has loaded the old one
