"""What makes two configs the same run, and what a run is called."""

import copy
import re
from typing import Any

import pytest
import yaml

from initbench.record.naming import name_versions
from initbench.record.signature import (
    _changes,
    _standard_init,
    digest,
    init_label,
    run_name,
    seeds_apart,
    setting,
    shared,
    shared_init,
    shared_source,
    signature,
    workload,
)
from initbench.registry import CONF


@pytest.mark.parametrize(
    "override",
    ["study=other", "runs_dir=elsewhere", "data_dir=elsewhere", "print_init=true", "logger=csv", "data.stream=true"],
)
def test_what_cannot_change_the_numbers_does_not_change_the_signature(small: Any, override: str) -> None:
    assert signature(small(override)) == signature(small())


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "init.bias=1",
        "model.width=8",
        "optimizer.lr=1",
        "data.batch_size=8",
        "trainer.max_steps=9",
        "init=eye",
    ],
)
def test_what_can_change_the_numbers_changes_the_signature(small: Any, override: str) -> None:
    assert signature(small(override)) != signature(small())


# What becomes of a run that fails, where the same images lie, and how they reach the device.
_UNCOUNTED = ("trainer.on_oom", "data.root", "data.stream", "data.max_resident_gb", "data.num_workers")


def test_every_key_of_what_is_trained_counts(small: Any) -> None:
    config = small("scheduler=cosine", "init=xavier_normal", "data.stream=auto")
    whole = signature(config)
    groups = ("init", "model", "data", "task", "optimizer", "scheduler", "trainer")
    assert signature({**config, "seed": 17}) != whole
    for group in groups:
        assert signature({**config, group: {**config[group], "one_more": 1}}) != whole, group
        for key in config[group]:
            counts = signature({**config, group: {**config[group], key: "another"}}) != whole
            assert counts is (f"{group}.{key}" not in _UNCOUNTED), f"{group}.{key}"
    for key in config.keys() - {*groups, "seed"}:
        assert signature({**config, key: "another"}) == whole, key


@pytest.mark.parametrize("group", ["model", "data", "optimizer", "scheduler", "trainer"])
def test_all_but_initializer_and_seed_is_the_setting_and_all_but_the_rate_the_workload(small: Any, group: str) -> None:
    config = small()
    other = {**config, group: {**config[group], "one_more": 1}}
    assert setting(other) != setting(config)
    assert workload(other) != workload(config)
    rate = {**config, "optimizer": {**config["optimizer"], "lr": 17}}
    assert setting(rate) != setting(config)
    assert workload(rate) == workload(config) == workload({**config, "seed": 17, "init": {"name": "eye"}})


def test_the_same_images_elsewhere_are_the_same_run(small: Any) -> None:
    assert signature(small("data=mnist", "data_dir=a")) == signature(small("data=mnist", "data_dir=b"))


def test_runs_that_differ_in_init_and_seed_alone_may_be_compared(small: Any) -> None:
    assert setting(small("init=eye", "seed=3")) == setting(small())
    assert setting(small("optimizer.lr=1")) != setting(small())


def test_the_source_of_ones_own_code_is_part_of_a_run(small: Any) -> None:
    """See initbench.config.source: an initializer's is no part of the setting, a model's is."""
    plain = small()
    old, new = ({**plain, "source": {"init": source}} for source in ("3fa2c1d0e5", "b90e77a412"))
    assert len({signature(plain), signature(old), signature(new)}) == 3
    assert setting(plain) == setting(old) == setting(new)
    assert workload(old) == workload(new)
    old, new = ({**plain, "source": {"init": "3fa2c1d0e5", "model": source}} for source in ("0c", "0d"))
    assert len({setting(plain), setting(old), setting(new)}) == 3


def test_a_config_without_own_code_keeps_its_signature() -> None:
    """As it was before source counted."""
    config = {
        "init": {"name": "orthogonal", "gain": 2},
        "model": {"name": "mlp"},
        "data": {"name": "mnist", "root": "a"},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "scheduler": {},
        "trainer": {"max_steps": 8},
        "seed": 0,
        "study": "s",
    }
    assert (signature(config), setting(config), digest(workload(config))) == ("41684ec797", "1979b2ca46", "520f3911c8")


def test_a_gpt_keeps_the_signature_of_before_it_had_a_branch_multiplier(small: Any) -> None:
    config = small("task=language_model", "model=gpt")
    before = {key: value for key, value in config["model"].items() if key != "branch_multiplier"}
    assert config["model"]["branch_multiplier"] is False
    assert signature(config) == signature({**config, "model": before})
    assert signature(small("task=language_model", "model=gpt", "model.branch_multiplier=true")) != signature(config)


def test_versions_of_an_initializer_are_named_only_where_there_are_several() -> None:
    assert name_versions([("mine", "3fa2c1d0e5"), ("other", "b90e77a412"), ("default", None)]) == {
        ("mine", "3fa2c1d0e5"): "mine",
        ("other", "b90e77a412"): "other",
        ("default", None): "default",
    }
    versions = [("mine", "3fa2c1d0e5"), ("mine", "b90e77a412"), ("mine", None)]
    assert list(map(name_versions(versions).get, versions)) == ["mine (source 3fa2c1)", "mine (source b90e77)", "mine"]


def test_a_label_says_what_was_changed(small: Any) -> None:
    assert init_label(small("init=orthogonal")["init"]) == "orthogonal"
    assert init_label(small("init=orthogonal", "init.gain=2", "init.bias=default")["init"]) == (
        "orthogonal(bias=default, gain=2)"
    )


def test_the_label_of_ones_own_initializer_gives_all_its_parameters(small: Any) -> None:
    """Otherwise runs with different parameters would be averaged as seeds of one."""
    init = {**small("init=normal")["init"], "name": "scaled", "_target_": "mine.scaled_", "std": 2}
    assert init_label(init) == "scaled(mean=0.0, std=2)"


def test_a_label_that_would_be_long_has_a_digest_of_what_differs(small: Any) -> None:
    rule = "{match: '*.out_proj', weight: {name: normal, std: %s}}"
    labels = [
        init_label(small("init=normal", f"init.rules=[{rule % std},{rule % 0.5}]")["init"]) for std in (0.1, 0.1, 0.2)
    ]
    assert labels[0] == labels[1] != labels[2]
    assert all(re.fullmatch(r"normal\([0-9a-f]{6}\)", label) for label in labels)


def test_a_whole_number_is_the_same_typed_either_way(small: Any) -> None:
    assert signature(small("init=orthogonal", "init.gain=1")) == signature(small("init=orthogonal", "init.gain=1.0"))


def test_a_name_is_safe_as_a_folder(small: Any) -> None:
    config = small("init=orthogonal", "init.rules=[{match: 'conv*', weight: eye}]")
    name = run_name(config)
    assert name.startswith("mlp-mnist_mini-orthogonal_rules=_match_conv")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.=+-")
    config["init"]["name"] = "x" * 200
    assert len(run_name(config)) == 100


SEEDS = ("weights", "order", "augmentation", "split")


@pytest.mark.parametrize("source", SEEDS)
def test_a_seed_of_its_own_is_another_run_and_which_are_apart_another_setting(small: Any, source: str) -> None:
    """Also if it is 0. How much it is counts for the run alone."""
    config = small()
    zero, one = ({**config, "seeds": {**dict.fromkeys(SEEDS), source: seed}} for seed in (0, 1))
    assert seeds_apart(zero) == {source: 0}
    assert len({signature(config), signature(zero), signature(one)}) == 3
    assert setting(zero) == setting(one) != setting(config)
    assert run_name(zero) == f"{run_name(config)}-{source}0"
    assert run_name(one) == f"{run_name(config)}-{source}1"


def test_the_sources_that_are_apart_tell_settings_apart(small: Any) -> None:
    config = small()
    both = [{**config, "seeds": {**dict.fromkeys(SEEDS), source: 1}} for source in SEEDS]
    assert len({setting(one) for one in [config, *both]}) == 5


@pytest.mark.parametrize("seeds", [None, "one", 3, [1]])
def test_what_is_no_mapping_of_seeds_has_none_apart(seeds: Any, small: Any) -> None:
    assert seeds_apart({**small(), "seeds": seeds}) == {}
    assert signature({**small(), "seeds": seeds}) == signature({**small(), "seeds": dict.fromkeys(SEEDS)})


def test_label_smoothing_of_a_plain_classifier_counts_where_records_always_had_it(small: Any) -> None:
    config = small()
    task = {"_target_": "initbench.task.Classification", "name": "classification", "targets": None}
    old = {key: value for key, value in config.items() if key != "task"}
    for smoothing in (0.0, 0.1, None):
        was = {**old, "trainer": {**config["trainer"], "label_smoothing": smoothing}}
        assert signature({**config, "task": {**task, "label_smoothing": smoothing}}) == signature(was)
    without = {**old, "trainer": {**config["trainer"], "label_smoothing": None}}
    assert signature({**config, "task": task}) == signature(without)
    other = {**task, "targets": [0.5]}
    assert len({signature({**config, "task": {**other, "label_smoothing": of}}) for of in (0.0, 0.1)}) == 2
    assert "task" in shared({**config, "task": other})
    assert "task" not in shared({**config, "task": task})


def test_the_source_of_everything_but_the_initializer_is_shared(small: Any) -> None:
    source = {"init": "0a", "model": "0b", "data": "0c", "task": "0d"}
    assert shared_source({"source": source}) == {"model": "0b", "data": "0c", "task": "0d"}
    assert shared({**small(), "source": source})["source"] == {"model": "0b", "data": "0c", "task": "0d"}
    assert "source" not in shared({**small(), "source": {"init": "0a"}})


def test_a_config_is_not_changed_by_asking_for_its_signature(small: Any) -> None:
    config = {**small("task=language_model", "model=gpt"), "source": {"init": "0a"}, "seeds": {"order": 3}}
    before = copy.deepcopy(config)
    for ask in (signature, setting, workload, run_name, shared):
        ask(config)
    assert config == before


def test_optimizers_differ_in_all_but_the_rate(small: Any) -> None:
    config = small()
    assert set(workload(config)["optimizer"]) == set(config["optimizer"]) - {"lr"}
    assert "seed" not in shared(config)
    assert "init" not in shared(config)


def test_a_label_has_nested_keys_in_full_and_everything_that_was_changed() -> None:
    init = {"name": "mine", "_target_": "mine.fill_", "a": {"b": 1, "c": {"d": [1, "x"]}}, "e": "text", "f": None}
    assert init_label(init) == "mine(a={b:1,c:{d:[1,x]}},e=text,f=null)".replace(",e=", ", e=").replace(",f=", ", f=")
    standard = {"name": "s", "_target_": "t", "a": {"b": 1, "c": {"d": 2, "e": 3}}, "gone": None}
    changed = {
        "name": "other",
        "_target_": "t",
        "a": {"b": 4, "c": {"d": 5, "e": 3}},
        "new": None,
        "gone": None,
        "z": 0,
    }
    assert _changes(changed, standard) == ["a.b=4", "a.c.d=5", "new=null", "z=0"]


def test_a_label_holds_no_secret() -> None:
    assert init_label({"name": "mine", "_target_": "mine.fill_", "api_key": "abcdef4711"}) == "mine(api_key=***)"


def test_a_label_is_cut_where_it_is_longer_than_a_legend_can_take() -> None:
    init = {"name": "mine", "_target_": "mine.fill_"}
    longest = init_label({**init, "a": "x" * 78})
    assert longest == f"mine(a={'x' * 78})"
    assert re.fullmatch(r"mine\([0-9a-f]{6}\)", init_label({**init, "a": "x" * 79}))


def test_the_options_file_of_an_initializer_goes_before_what_all_share() -> None:
    for name in ("lsuv", "orthogonal", "default"):
        option = yaml.safe_load((CONF / "init" / f"{name}.yaml").read_text("utf-8"))
        assert init_label({**shared_init(), **option, "name": name}) == name
    with_own = {**shared_init(), "bias": "another", "_target_": "x"}
    assert _standard_init("no such file") == {**shared_init(), "_target_": _standard_init("no such file")["_target_"]}
    assert init_label({**with_own, "name": "mine"}) == "mine(bias=another)"


def test_a_name_ends_with_its_seeds_however_long_it_is(small: Any) -> None:
    config = {**small("seed=123"), "seeds": {"weights": 7}}
    config["init"]["name"] = "_" + "x" * 200
    name = run_name(config)
    assert len(name) == 100
    assert name.endswith("x-seed123-weights7")
    config["model"]["name"] = "*net*"
    assert run_name(config).startswith("net_-mnist_mini-_xxx")


def test_tuples_lists_and_whole_floats_have_the_same_digest_and_the_order_of_keys_counts_not() -> None:
    assert digest({"a": (1, 2.0), "b": 3}) == digest({"b": 3.0, "a": [1.0, 2]})
    assert len({digest({"a": value}) for value in (1, 1.5, "1")}) == 3
    assert digest({"a": 2.0}) == digest({"a": 2})
    assert digest({"a": float("inf")}) != digest({"a": float("nan")})
    assert re.fullmatch("[0-9a-f]{10}", digest({}))


def test_where_it_is_halved_for_memory_is_not_part_of_a_run(small: Any) -> None:
    assert "on_oom" not in shared(small())["trainer"]
    assert not {"root", "stream", "max_resident_gb", "num_workers"} & shared(small("data.stream=true"))["data"].keys()
