"""What workloads are called."""

from frames import frame, record

from initbench.analysis.loading.workload_names import workload_configs
from initbench.record.naming import varying


def test_one_rate_is_part_of_the_name_several_are_not() -> None:
    (name,) = frame(record("a", 0, lr=0.1))["workload"]
    assert name == "mlp on mnist, sgd lr 0.1, 100 steps"
    (name,) = set(frame(record("a", 0, lr=0.1), record("a", 0, lr=1.0))["workload"])
    assert name == "mlp on mnist, sgd, 100 steps"


def test_workloads_alike_are_told_apart_by_what_differs() -> None:
    runs = frame(*(record("a", 0, model={"depth": depth, "norm": norm}) for depth, norm in ((4, "none"), (8, "none"))))
    assert sorted(runs["workload"]) == [
        "mlp on mnist, sgd lr 0.1, 100 steps, model.depth=4",
        "mlp on mnist, sgd lr 0.1, 100 steps, model.depth=8",
    ]


def test_that_only_one_was_tuned_does_not_tell_them_apart() -> None:
    rows = [record("a", 0, model={"depth": 1}), record("a", 0, lr=1.0, model={"depth": 1})]
    runs = frame(*rows, record("a", 0, model={"depth": 2}))
    assert sorted(runs["workload"].unique()) == [
        "mlp on mnist, sgd lr 0.1, 100 steps, model.depth=2",
        "mlp on mnist, sgd, 100 steps, model.depth=1",
    ]


def test_a_key_that_one_lacks_differs() -> None:
    assert varying({"x": {"a": 1, "b": 2}, "y": {"a": 1}}) == {"b": {"x": 2}}
    assert varying({"x": {"a": 1}}) == {}


def test_the_config_of_a_workload_knows_neither_initializer_seed_nor_rate() -> None:
    (config,) = workload_configs(frame(record("a", 0), record("b", 1, lr=1.0))).values()
    assert config == {
        "model.name": "mlp",
        "data.name": "mnist",
        "data.val_every_n_steps": 10,
        "optimizer.name": "sgd",
    }


def test_where_nothing_has_begun_the_budget_is_unknown() -> None:
    (name,) = frame(record("a", 0, status="refused", total_steps=None))["workload"]
    assert name == "mlp on mnist, sgd lr 0.1"


def test_values_that_read_alike_still_have_names_of_their_own() -> None:
    runs = frame(record("a", 0, model={"depth": 1}), record("a", 0, model={"depth": "1"}))
    assert runs["workload_id"].nunique() == runs["workload"].nunique() == 2
