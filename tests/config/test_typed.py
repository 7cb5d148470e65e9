"""What was typed becomes what Hydra can read, or one line."""

import shlex

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException

from initbench import CONF
from initbench.config import typed as typed_module
from initbench.config.paths import expand_all
from initbench.config.typed import another_way, no_option, readable, without_multirun
from initbench.errors import UserMistake


def value(typed: str) -> object:
    """What Hydra takes the one override of a command for."""
    (override,) = OverridesParser.create().parse_overrides(readable([typed]))
    return override.value()


@pytest.mark.parametrize(
    "text",
    [
        "über",
        "Ünïcödé_日本",
        "a=b",
        "/data/lr=0.1/x",
        "=x",
        "a b",
        "a;b&c!",
        "#1",
        "é\\",
        "é\\\\",
        "<x>",
        "50%^",
        "a=b c",
    ],
)
def test_text_that_hydra_reads_only_in_quotes_is_what_was_typed(text: str) -> None:
    assert value(f"study={text}") == text
    assert value(f"+note={text}") == text


def test_each_value_of_a_sweep_is_quoted_by_itself() -> None:
    assert readable(["init.path=/x/a=1.pt,/y/b.pt", "-m"]) == ['init.path="/x/a=1.pt",/y/b.pt', "-m"]


@pytest.mark.parametrize(
    "override",
    [
        *("init=a,b", "seed=range(3)", "init=glob(*)", "x={a: [1,2]}", "~init.bias", "+a.b=1", "++a=null"),
        *("init.gain=", "a@b=c", 'study="ü"', "study='a b'", "study=a\\ b", "a=${b.c}", "hydra/launcher=local"),
    ],
)
def test_what_hydra_reads_is_left_as_it_is(override: str) -> None:
    assert readable([override]) == [override]


@pytest.mark.parametrize(
    "typed, added",
    [
        (["model=gpt"], ["task=language_model"]),
        (["model=gpt", "data=text_file"], ["task=language_model"]),
        (["model=gpt", "task=classification"], []),
        (["model=gpt", "experiment=gpt_recipes"], []),
        (["model=mlp,gpt"], []),
        (["model=mlp"], []),
    ],
)
def test_a_model_that_only_one_task_can_train_brings_it(typed: list[str], added: list[str]) -> None:
    assert readable(typed) == [*typed, *added]


def test_options_may_stand_anywhere() -> None:
    typed = ["init=ones", "-m", "seed=0,1", "--config-dir", "mine", "~init.bias"]
    assert readable(typed) == ["init=ones", "seed=0,1", "~init.bias", "-m", "--config-dir", "mine"]


def test_a_home_and_a_variable_are_expanded_wherever_a_path_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("SCRATCH", "/scratch")
    for key in ("runs_dir", "data_dir", "data.folder", "init.path", "hydra.sweep.dir", "hydra.run.dir", "+my.own"):
        assert readable([f"{key}=~/x"]) == [f"{key}=/home/ann/x"]
        assert readable([f"{key}=$SCRATCH/x"]) == [f"{key}=/scratch/x"]
    assert readable(["--config-dir=~/c", "init.path=~/a,~/b"]) == [
        "init.path=/home/ann/a,/home/ann/b",
        "--config-dir=/home/ann/c",
    ]
    assert readable(["--config-dir", "~"]) == ["--config-dir", "/home/ann"]
    assert readable(["hydra.searchpath=[file://~/c,~/d]"]) == ["hydra.searchpath=[file:///home/ann/c,/home/ann/d]"]
    nested = {"data": {"folder": "~/d", "many": ["$SCRATCH", 3]}, "init": {"match": "a~b"}, "cost": "5$", "x": "a/~"}
    assert expand_all(nested) == {**nested, "data": {"folder": "/home/ann/d", "many": ["/scratch", 3]}}


@pytest.mark.parametrize(
    "typed, said",
    [
        (["runs_dir=~nobody_here/x"], "~nobody_here/x: there is no user 'nobody_here'"),
        (["data.folder=$NOT_SET_HERE/x"], "$NOT_SET_HERE/x: the environment variable NOT_SET_HERE is not set"),
        (["foo"], "'foo' is no override: type name=value, such as init=orthogonal"),
        (["resnet18"], "'resnet18' is no override: type name=value, such as model=resnet18"),
        (["model..depth=3"], "'model..depth=3' is no override: type name=value"),
        (["=3"], "'=3' is no override"),
        (["+=3"], "'+=3' is no override"),
        (["a b=3"], "'a b=3' is no override"),
        (["ü=3"], "'ü=3' is no override"),
        (["seed=0,", "1"], "seed=0, has an empty value: commas stand between values, without spaces: seed=0,1,2"),
        (["init=ones,,zeros"], "init=ones,,zeros has an empty value"),
        (["seed=range(3"], "seed=range(3 cannot be read as a list, a mapping or a function; as text it is typed '"),
        (["data.targets=[0.5"], "data.targets=[0.5 cannot be read as a list, a mapping or a function"),
        (["study='a"], "study='a cannot be read"),
        (["-x"], "unknown option -x. `python -m initbench --help` says what can be typed"),
        (["--multirn"], "unknown option --multirn. Did you mean '--multirun'? `python -m initbench --help`"),
        (["--cfg", "jobs"], "argument --cfg/-c: invalid choice: 'jobs'"),
        (["--config-dir"], "argument --config-dir/-cd: expected one argument"),
        (["+hydra.foo=1"], "unknown key hydra.foo. Keys of hydra: "),
        (["++hydra.job.nam=x"], "unknown key hydra.job.nam. Did you mean 'name'? Keys of hydra.job: "),
    ],
)  # fmt: skip  # several values to a line
def test_what_cannot_be_read_is_one_line(typed: list[str], said: str) -> None:
    with pytest.raises(UserMistake) as found:
        readable(typed)
    assert str(found.value).startswith(said)
    assert "\n" not in str(found.value)


def test_the_text_that_is_proposed_is_what_was_typed() -> None:
    for typed in ("study=a(b", 'study="x', "study=a]b\\", "study=it's"):
        with pytest.raises(UserMistake) as found:
            readable([typed])
        (proposed,) = shlex.split(str(found.value).partition("as text it is typed ")[2])
        assert value(proposed) == typed.partition("=")[2]


@pytest.mark.parametrize(
    "override", ["+hydra.job.env_set.X=1", "+hydra.launcher.foo=1", "+hydra.sweeper.params.seed=1"]
)
def test_keys_that_hydra_leaves_open_may_be_added(override: str) -> None:
    assert readable([override]) == [override]


def test_a_sweep_without_m_is_told_to_add_it() -> None:
    assert without_multirun(["study=a", "init=ones,zeros"]).endswith("add -m, python -m initbench -m init=ones,zeros")
    assert without_multirun(["seed=range(3)"]).endswith("add -m, python -m initbench -m 'seed=range(3)'")


def refusal_of_hydra(*overrides: str) -> ConfigCompositionException:
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(ConfigCompositionException) as found:
        compose("config", overrides=list(overrides))
    return found.value


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_a_key_that_the_default_model_lacks_is_added_in_a_sweep_over_models(
    flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typed_module, "forced", [])
    error = refusal_of_hydra("model.depth=4")
    assert another_way([flag, "model=mlp,plain_cnn", "model.depth=4"], error) == [
        flag, "model=mlp,plain_cnn", "++model.depth=4",
    ]  # fmt: skip  # several values to a line
    assert another_way(["experiment=a,b", "model.depth=4", "seed=0", flag], error)[1:3] == ["++model.depth=4", "seed=0"]
    assert typed_module.forced == ["model.depth", "model.depth"]
    for others in (["model=mlp"], ["init=ones,zeros"], ["model=mlp,plain_cnn", "model.width=4"]):
        kept = [flag, *others] if "model.width=4" in others else [flag, *others, "model.depth=4"]
        assert another_way(kept, error) == []
    assert another_way(["model=mlp,plain_cnn", "model.depth=4"], error) == []
    assert typed_module.forced == ["model.depth", "model.depth"]


def test_a_study_needs_no_m() -> None:
    error = ConfigCompositionException("Ambiguous value for argument 'init=ones,zeros'")
    assert another_way(["experiment=tuned", "init=ones,zeros"], error) == ["experiment=tuned", "init=ones,zeros", "-m"]
    assert another_way(["init=ones,zeros"], error) == []
    for flag in ("-m", "--multirun"):
        assert another_way(["experiment=tuned", "init=ones,zeros", flag], error) == []


def test_a_group_without_an_option_lists_those_of_plugins_too() -> None:
    import hydra_plugins.local_launcher.launcher
    import hydra_plugins.packed_launcher.launcher  # noqa: F401 - both store their options

    said = no_option(["hydra/launcher=null"])
    assert said.startswith("unknown option hydra/launcher=null. Available in hydra/launcher: auto, ")
    assert said.endswith("local, packed, ray, slurm")
    assert no_option(["init='ü'"]) == ""
    assert no_option(["model=3"]).startswith("unknown option model=3. Available in model: airbench, ")
