"""What the documentation tells people to type, and the files that it names, exist."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_lines import commands, commands_of_help, is_plain, unquoted, words
from configs import options, resolved
from frames import frame, record
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from page_blocks import PAGES, blocks

import initbench
from initbench.analysis.verdict.sentence import CLAIMS
from initbench.config.check import check
from initbench.config.typed import readable

ROOT = Path(__file__).resolve().parent.parent
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in (*ROOT.glob("*.md"), *PAGES)}
CONFIGS = sorted(ROOT.glob("conf/**/*.yaml"))
OTHERS = ("attribution", "audit", "init", "report", "status", "transfer")
PROGRAMS = ("initbench", *(f"initbench.{name}" for name in OTHERS))
COMMANDS = sorted({command for text in TEXTS.values() for command in commands(text)})
MISTAKES = {" ".join(block.text.split()) for page in PAGES for block in blocks(page) if block.exits == 2}


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What each program prints for --help."""
    wide = {**os.environ, "COLUMNS": "200"}
    asked = {name: [sys.executable, "-m", name, "--help"] for name in PROGRAMS}
    return {name: subprocess.check_output(command, text=True, env=wide) for name, command in asked.items()}


def composes(command: str) -> bool:
    """Whether a command is a config that can be run, with the first value of whatever is swept over."""
    arguments = shlex.split(command.partition("-m initbench")[2])
    # glob needs Hydra's loader.
    arguments = [re.sub(r"glob\(.*\)", "zeros", argument) for argument in arguments]
    overrides = [argument for argument in readable(arguments) if "=" in argument and not argument.startswith("-")]
    first = []
    for override in OverridesParser.create().parse_overrides(overrides):
        value = override.value()
        if isinstance(value, IntervalSweep):
            first.append(f"{override.get_key_element()}={value.start}")
        elif override.is_sweep_override():
            first.append(f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}")
        else:
            first.append(str(override.input_line))
    return check(resolved(*first), first).study != ""


def test_there_are_commands_to_check(helps: dict[str, str]) -> None:
    assert len(COMMANDS) >= 50
    assert len(list(commands_of_help(helps["initbench"]))) >= 9


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_typed_as_it_stands(command: str) -> None:
    assert is_plain(command)
    assert words(command, "bash", "-O", "failglob") == shlex.split(command)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_typed_in_zsh(command: str) -> None:
    assert words(command, "zsh", "-f") == shlex.split(command)


@pytest.mark.parametrize(
    "command",
    [
        "python -m initbench init=glob(*)",
        "python -m initbench seed=range(3)",
        "python -m initbench data.targets=[0.5]",
        "python -m initbench init.rules={a: b}",
        "python -m initbench init=kaiming_norma?",
        "python -m initbench runs_dir=~/runs",
        "python -m initbench study=a!b",
        "python -m initbench # one run",
        "python -m initbench.report <runs_dir>/<study>",
        "python -m initbench init=zeros …",
        'python -m initbench "study=$USER"',
        "echo =ls",
    ],
)
def test_what_a_shell_would_change_is_found(command: str) -> None:
    assert not is_plain(command)


# With --config-dir a command has options of the reader's own, which only `make test-docs` writes.
@pytest.mark.parametrize(
    "command",
    [c for c in COMMANDS if re.search(r"-m initbench( (?!--version|--config-dir)|$)", c) and c not in MISTAKES],
)
def test_every_command_composes(command: str) -> None:
    assert composes(command)


def test_every_command_of_the_help_texts_can_be_typed_and_composes(helps: dict[str, str]) -> None:
    for command in [command for text in helps.values() for command in commands_of_help(text)]:
        assert is_plain(command), command
        assert words(command, "bash", "-O", "failglob") == shlex.split(command)
        assert "-m initbench." in command or composes(command), command


@pytest.mark.parametrize("command", [command for command in COMMANDS if re.search(r"-m initbench\.", command)])
def test_every_option_of_the_other_programs_exists(command: str, helps: dict[str, str]) -> None:
    _, _, program, *arguments = shlex.split(command)
    assert all(argument in helps[program] for argument in arguments if argument.startswith("-"))


def test_overrides_in_prose_are_quoted_where_a_shell_wants_it(helps: dict[str, str]) -> None:
    shown = ["experiment=[a,b]", "+x.y={a:", "seed=range(3)", "init=glob(*)"]
    assert unquoted(" ".join(shown)) == shown
    assert unquoted("type 'experiment=[a,b]' or init=a,b (init.bias=0)") == []
    for name, text in TEXTS.items():
        assert [line for code in re.findall(r"`([^`\n]+)`", text) for line in unquoted(code)] == [], name
    for path in CONFIGS:
        comments = [line.partition("#")[2] for line in path.read_text().splitlines()]
        assert [found for comment in comments for found in unquoted(comment)] == [], path.name
    assert [line for text in helps.values() for line in unquoted(text)] == []


def test_every_option_of_a_group_is_documented() -> None:
    listed = TEXTS["docs/reference/choices.md"] + TEXTS["docs/reference/initializers.md"]
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
    documented = set(re.findall(r"`([a-z_]+)`", TEXTS["docs/explanation/comparison.md"]))
    assert keys(verdict.to_dict()) <= documented


def test_every_kind_of_sentence_is_documented() -> None:
    code = "".join(path.read_text() for path in (ROOT / "initbench" / "analysis" / "verdict").glob("*.py"))
    kinds = set(re.findall(r'Sentence\(\s*(?:kind, .*|"([a-z_]+)")', code)) | set(CLAIMS)
    table = TEXTS["docs/explanation/comparison.md"].partition("| kind of sentence |")[2].partition("\n\n")[0]
    assert kinds - {""} <= set(re.findall(r"`([a-z_]+)`", table))
