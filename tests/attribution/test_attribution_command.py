"""`python -m initbench.attribution`, as it is typed: real sweeps of a small GPT on a text that is made on the spot."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from frames import record
from programs import ENVIRONMENT, run
from records import write_plan

import initbench
from initbench.attribution.__main__ import HELP, main
from initbench.record.store import write_record

SMALL = [
    "task=language_model",
    "model.tied=false",
    "model.depth=2",
    "model.width=32",
    "model.heads=2",
    "data.size=4000",
    "data.context_length=16",
    "data.batch_size=8",
    "data.val_every_n_steps=4",
    "trainer.max_steps=4",
    "trainer.accelerator=cpu",
    "logger=none",
    "study=small",
]
ASKED = ["init.a=gpt2", "init.b=nanochat", "init.parts=[mlp_in,head]"]


def attribution(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, [sys.executable, "-m", "initbench.attribution", *arguments])


def test_a_study_from_the_line_to_the_page(tmp_path: Path) -> None:
    done = attribution(tmp_path, *ASKED, *SMALL, "seed=range(8)")
    assert done.returncode == 0, done.stderr
    study = tmp_path / "runs" / "small"
    assert len([*study.glob("*/record.json")]) == 32
    page = study / "report" / "attribution.html"
    assert done.stdout.rstrip().endswith(f"Attribution: {page.relative_to(tmp_path)}")
    numbers: dict[str, Any] = json.loads((study / "report" / "attribution.json").read_text())
    schema = Path(__file__).parents[2] / "docs" / "reference" / "schemas" / "attribution.json"
    jsonschema.validate(numbers, json.loads(schema.read_text()))
    assert (numbers["a"], numbers["b"], numbers["arms"], numbers["seeds"]) == ("gpt2", "nanochat", 4, 8)
    # nanochat's head is 20 times smaller than gpt2's: after four steps nothing matters more.
    effects = {row["effect"]: row for row in numbers["effects"]}
    assert list(effects) == ["all parts", "mlp_in", "head", "mlp_in x head"]
    runs = initbench.load_runs(study)
    drawn = [json.loads((Path(path) / "record.json").read_text())["config"]["init"]["from_b"] for path in runs["path"]]
    means = runs["score"].groupby([" ".join(parts) for parts in drawn]).mean()
    whole = means["mlp_in head"] - means[""]
    assert effects["all parts"]["gain"] == pytest.approx(whole)
    assert effects["head"]["gain"] == pytest.approx(
        (means["mlp_in head"] + means["head"] - means["mlp_in"] - means[""]) / 2
    )
    html = page.read_text()
    for sentence in numbers["sentences"]:
        assert sentence["text"] in done.stdout
    assert "gpt2 and nanochat also differ in five other parts, which gpt2 draws in every arm." in html
    assert "Plotly.newPlot" in html
    assert (page.parent / "plotly.min.js").exists()

    again = attribution(tmp_path, *ASKED, *SMALL, "seed=range(8)")
    assert "32 runs, 32 of them already done" in again.stdout
    assert json.loads((page.parent / "attribution.json").read_text()) == numbers


def test_a_dry_run_says_the_arms_and_trains_nothing(tmp_path: Path) -> None:
    parts = "init.parts=[embedding,qkv,attention_out,mlp_in,mlp_out,head]"
    done = attribution(tmp_path, *ASKED[:2], parts, *SMALL, "arms=16", "hydra/launcher=basic", "dry_run=true")
    assert done.returncode == 0, done.stderr
    assert "160 runs, 160 to do" in done.stdout  # ten seeds, of which nobody has typed how many
    assert "6 parts in 16 arms, a fraction of resolution IV" in done.stdout
    assert "nothing can be shown with fewer than 10 seeds" in done.stdout
    assert "not told apart: embedding x qkv = attention_out x mlp_out" in done.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "changed, said",
    [
        (["init.parts=[mlp_inn,head]"], "unknown part 'mlp_inn'. Did you mean 'mlp_in'?"),
        (["init.parts=[mlp_in,norms]"], "a and b draw 'norms' alike"),
        (["init.parts=[head]"], "attribution takes 2 to 10 parts, got 1"),
        (["init.parts=head"], "parts of between must be a list"),
        (["init.from_b=[head]"], "init.from_b is what attribution varies: leave it out"),
        (["init.b=mup"], "b=mup scales learning rates too"),
        (["init=gpt2"], "init=gpt2: attribution is between two initializers"),
        (["model.width=32,64"], "model.width=32,64 has several values, and attribution is for one workload"),
        (["seeds.weights=1"], "seeds.weights sets a source of randomness apart"),
        (["experiment=tuned"], "it cannot be tuned for each arm"),
        (["until=sure"], "until= is not for it"),
        (["arms=16"], "arms=16: for 2 parts there is a design with 4 arms"),
        (["arms=many"], "arms must be a whole number, got 'many'"),
        (["optimiser=sgd"], "optimiser"),
        (["--watch"], "attribution takes overrides, name=value, and no --watch"),
    ],
)
def test_a_mistake_is_one_line_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("initbench.attribution.__main__.sweep", lambda line: pytest.fail(f"it would train {line}"))
    with pytest.raises(ValueError, match=said) as error:
        main([*ASKED, *SMALL, *changed])
    assert "\n" not in str(error.value)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "typed, swept, said",
    [
        ([], "seed=range(10)", ""),
        (["seed=range(20)"], "seed=range(20)", ""),
        (["seed=1,2,3"], "seed=1,2,3", "3 seeds cannot show anything: it takes 8 or more\n"),
        (["seed=7"], "seed=7", "1 seed cannot show anything: it takes 8 or more\n"),
    ],
)
def test_the_line_of_the_sweep(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: list[str], swept: str, said: str
) -> None:
    lines: list[list[str]] = []
    monkeypatch.setattr("initbench.attribution.__main__.sweep", lambda line: lines.append(line) or 130)
    with pytest.raises(SystemExit) as ended:
        main([*ASKED, *SMALL, *typed])
    assert ended.value.code == 130  # stopped: there is nothing to report
    arms = "init.from_b=[],[head],[mlp_in],[mlp_in,head]"
    assert sorted(lines[0]) == sorted(["init=between", *ASKED, *SMALL, arms, swept])
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("code", [0, 1])
def test_it_exits_as_its_sweep_does_and_reports_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    study = tmp_path / "runs" / "small"
    (study / "report").mkdir(parents=True)
    (study / "report" / "plotly.min.js").touch()

    def sweep(_: list[str]) -> int:
        names = []
        for parts in ([], ["head"], ["mlp_in"], ["mlp_in", "head"]):
            for seed in range(8 - code):
                made = record(f"between {parts}", seed, 0.5 + 0.1 * len(parts) + seed / 1000)
                made["config"]["init"] = {"name": "between", "from_b": parts}
                names.append(f"{'-'.join(parts)}-{seed}")
                write_record(study / names[-1], made)
        write_plan(study, *names, *(["never"] * code))
        return code

    monkeypatch.setattr("initbench.attribution.__main__.sweep", sweep)
    with contextlib.nullcontext() if code == 0 else pytest.raises(SystemExit, match=r"^1$"):
        main([*ASKED, *SMALL, "seed=range(8)"])
    said = capsys.readouterr().out
    assert ("Some runs have no score (1 never started)." in said) == bool(code)
    assert said.endswith(f"Attribution: {Path('runs', 'small', 'report', 'attribution.html')}\n")


def test_an_initializer_that_is_not_given_is_asked_for(tmp_path: Path) -> None:
    done = attribution(tmp_path, "init.b=nanochat", "init.parts=[mlp_in,head]", *SMALL)
    assert done.returncode == 2
    assert done.stderr == "initbench: init.a has no value yet: give one, init.a=...\n"


def test_the_help_says_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    assert capsys.readouterr().out == f"{HELP}\n"


@pytest.mark.slow
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_reaches_the_sweep_and_nothing_is_left_running(tmp_path: Path, number: int, code: int) -> None:
    words = [sys.executable, "-m", "initbench.attribution", *ASKED, *SMALL, "trainer.max_steps=100000", "seed=0"]
    with subprocess.Popen(
        words, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        while not [*tmp_path.glob("runs/small/*/record.json")]:
            assert process.poll() is None
            time.sleep(0.1)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as Ctrl-C in a terminal does
        else:
            process.send_signal(number)
        _, said = process.communicate(timeout=100)
    assert process.returncode == code
    assert said.decode().endswith("initbench: stopped; type the same command again to continue\n")
    assert "Traceback" not in said.decode()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
