"""What tasks are called."""

from frames import frame, record

from initbench.analysis.titles import task_configs, titles, varying


def test_one_rate_is_part_of_the_title_several_are_not() -> None:
    (title,) = titles(frame(record("a", 0, lr=0.1))).values()
    assert title == "mlp on mnist, sgd lr 0.1, 100 steps"
    (title,) = titles(frame(record("a", 0, lr=0.1), record("a", 0, lr=1.0))).values()
    assert title == "mlp on mnist, sgd, 100 steps"


def test_tasks_alike_are_told_apart_by_what_differs() -> None:
    runs = frame(*(record("a", 0, model={"depth": depth, "norm": norm}) for depth, norm in ((4, "none"), (8, "none"))))
    assert sorted(titles(runs).values()) == [
        "mlp on mnist, sgd lr 0.1, 100 steps, model.depth=4",
        "mlp on mnist, sgd lr 0.1, 100 steps, model.depth=8",
    ]


def test_a_key_that_one_lacks_differs() -> None:
    assert varying({"x": {"a": 1, "b": 2}, "y": {"a": 1}}) == {"b": {"x": 2}}
    assert varying({"x": {"a": 1}}) == {}


def test_the_config_of_a_task_knows_neither_initializer_seed_nor_rate() -> None:
    (config,) = task_configs(frame(record("a", 0), record("b", 1, lr=1.0))).values()
    assert config == {"model.name": "mlp", "data.name": "mnist", "optimizer.name": "sgd"}


def test_where_nothing_has_begun_the_budget_is_unknown() -> None:
    (title,) = titles(frame(record("a", 0, status="refused", total_steps=None))).values()
    assert title == "mlp on mnist, sgd lr 0.1"
