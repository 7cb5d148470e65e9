"""What the documentation tells people to type, and the files that it names, exist."""

import re
import shlex
from pathlib import Path

import pytest
from configs import compose_config, options
from frames import frame, record
from hydra.core.override_parser.overrides_parser import OverridesParser

import initbench
from initbench.analysis.verdict.sentence import CLAIMS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("docs/**/*.md"))]
TEXTS = {
    name: (ROOT / name).read_text() for name in ("README.md", "README.zh.md", "conf/config.yaml", "Makefile", *PAGES)
}


def commands() -> list[list[str]]:
    """The arguments of every `python -m initbench` in the texts, continued lines joined, comments dropped."""
    found = []
    for text in TEXTS.values():
        for line in text.replace("\\\n", " ").splitlines():
            match = re.match(r"\s*(?:\$\(BIN\)/)?python -m initbench(| .*)$", line)
            if match:
                # In the help text a comment follows after two or more spaces.
                typed = re.split(r"\s{2,}(?=[a-z])(?!'init)", match.group(1).strip(" |"))[0]
                found.append(shlex.split(typed, comments=True))
    return found


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 10


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_every_command_composes(arguments: list[str]) -> None:
    """The first value of every sweep; initializers of the reader's own cannot be composed here."""
    overrides = [a.replace("glob(*)", "zeros").replace("scaled,", "") for a in arguments if "=" in a]
    first = []
    for override in OverridesParser.create().parse_overrides(overrides):
        if override.is_sweep_override():
            first.append(f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}")
        else:
            first.append(str(override.input_line))
    assert compose_config(*first)["study"]


def test_every_option_of_a_group_is_documented() -> None:
    listed = TEXTS["docs/choices.md"] + TEXTS["docs/initializers.md"]
    for group in ("init", "model", "data", "optimizer", "scheduler", "logger", "diagnostics", "experiment"):
        for name in options(group):
            assert f"`{name}`" in listed, f"{group}={name}"


def keys(content: object) -> set[str]:
    """All keys of nested mappings and lists, but not the names of workloads."""
    if isinstance(content, dict):
        return {*content, *(name for key, of in content.items() if key != "best_by_workload" for name in keys(of))}
    return {key for item in content for key in keys(item)} if isinstance(content, list) else set()


def test_every_key_of_the_verdict_as_json_is_documented() -> None:
    places = [(init, seed, depth) for init in "ab" for seed in range(3) for depth in (1, 2)]
    rows = [record(init, seed, 0.8 + seed / 100, model={"depth": depth}) for init, seed, depth in places]
    verdict = initbench.verdict(frame(*rows, record("c", 0, status="failed")), reference="a")
    documented = set(re.findall(r"`([a-z_]+)`", TEXTS["docs/comparison.md"]))
    assert keys(verdict.to_dict()) <= documented


def test_every_kind_of_sentence_is_documented() -> None:
    code = "".join(path.read_text() for path in (ROOT / "initbench" / "analysis" / "verdict").glob("*.py"))
    kinds = set(re.findall(r'Sentence\(\s*(?:kind, .*|"([a-z_]+)")', code)) | set(CLAIMS)
    table = TEXTS["docs/comparison.md"].partition("| kind of sentence |")[2].partition("\n\n")[0]
    assert kinds - {""} <= set(re.findall(r"`([a-z_]+)`", table))
