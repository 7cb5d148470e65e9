"""A pack that was decided is the same when its sweep is typed again, as long as it can be."""

from pathlib import Path

import pytest
from configs import compose_config

from initbench.packed import files
from initbench.packed.plan import Together, arrange, plan
from initbench.record.lock import lock
from initbench.record.store import Store


def runs(folder: Path, *overrides: str) -> list[Store]:
    """Jobs of four seeds, each with two initializers."""
    fixed = ["model=mlp", f"runs_dir={folder}", *overrides]
    inits = ("orthogonal", "default")
    return [Store(compose_config(*fixed, f"init={init}", f"seed={seed}")) for init in inits for seed in range(4)]


def folders(pack: list[Store]) -> list[Path]:
    return [run.folder for run in pack]


def finish(pack: list[Store]) -> None:
    for run in pack:
        run.write("finished")


def packed(some: list[Store], most: int, slots: int) -> list[list[Store]]:
    """The packs that are decided."""
    (together,) = plan(some, slots=slots, most=most)
    assert isinstance(together, Together)
    return together.packs


@pytest.fixture
def decided(tmp_path: Path) -> list[list[Store]]:
    """A pack for each seed, two for each of two slots."""
    packs = packed(runs(tmp_path), most=2, slots=2)
    for pack in packs:
        files.write(folders(pack), slots=2)
    assert [len(pack) for pack in packs] == [2, 2, 2, 2]
    return packs


def test_what_is_left_of_a_sweep_goes_on_as_it_was_decided(decided: list[list[Store]], tmp_path: Path) -> None:
    """One pack, which would be shared out over the two slots if it were decided now."""
    last, *others = decided
    for pack in others:
        finish(pack)
        files.remove(folders(pack))
    rest = [run for run in runs(tmp_path) if run.folder in folders(last)]
    assert [len(pack) for pack in arrange(rest, most=2, slots=2)] == [1, 1]
    assert list(map(folders, packed(rest, most=2, slots=2))) == [folders(last)]


def test_more_runs_make_packs_of_their_own(decided: list[list[Store]], tmp_path: Path) -> None:
    more = Store(compose_config("model=mlp", f"runs_dir={tmp_path}", "init=zeros"))
    *as_before, new = packed([more, *runs(tmp_path)], most=2, slots=2)
    assert sorted(map(folders, as_before)) == sorted(map(folders, decided))
    assert new == [more]


@pytest.mark.parametrize("most, slots", [(1, 2), (2, 1)])
def test_with_other_sizes_only_what_has_a_checkpoint_is_as_it_was(
    decided: list[list[Store]], most: int, slots: int, tmp_path: Path
) -> None:
    assert files.under_way(runs(tmp_path), most, slots) == []
    files.checkpoint_of(folders(decided[0])).touch()
    assert list(map(folders, files.under_way(runs(tmp_path), most, slots))) == [folders(decided[0])]


def test_a_pack_some_of_whose_runs_have_ended_is_none_any_more(decided: list[list[Store]], tmp_path: Path) -> None:
    first, *others = decided
    finish(first[:1])
    with lock(folders(first)[1]):  # unless somebody is about to end the others
        assert sorted(map(folders, files.under_way(runs(tmp_path)[1:], most=2, slots=2))) == sorted(
            map(folders, others)
        )
        assert files.is_written(folders(first))
    assert sorted(map(folders, files.under_way(runs(tmp_path), most=2, slots=2))) == sorted(map(folders, others))
    assert files.is_written(folders(first))  # to look, as a dry run does, removes nothing
    files.clear(folders(first)[0].parent)
    assert not files.is_written(folders(first))


def test_a_pack_of_which_one_run_is_held_is_not_over(tmp_path: Path) -> None:
    """Whichever of them has ended, and however many are free."""
    pack = runs(tmp_path)[:3]
    files.write(folders(pack), slots=1)
    for place in range(2):
        finish(pack[place : place + 1])
        with lock(folders(pack)[2]):
            files.clear(pack[0].folder.parent)
            assert files.is_written(folders(pack))
    files.clear(pack[0].folder.parent)
    assert not files.is_written(folders(pack))


def test_force_begins_anew(decided: list[list[Store]], tmp_path: Path) -> None:
    assert files.under_way(runs(tmp_path, "force=true"), most=2, slots=2) == []


def test_a_pack_that_is_split_is_its_parts_from_then_on(decided: list[list[Store]], tmp_path: Path) -> None:
    """As by an initializer that scales learning rates, or for want of memory."""
    one, two, *others = decided
    whole = [*one, *two]
    files.remove(folders(one))
    files.remove(folders(two))
    files.split(folders(whole), [folders(one), folders(two)])
    assert not files.is_written(folders(one))  # it was never decided
    files.write(folders(whole), slots=2)
    parts = [whole[::2], whole[1::2]]
    files.split(folders(whole), [folders(part) for part in parts])
    assert not files.is_written(folders(whole))
    assert sorted(map(folders, files.under_way(runs(tmp_path), 2, 2))) == sorted(map(folders, [*parts, *others]))


def test_of_a_study_that_is_done_nothing_is_left(decided: list[list[Store]], tmp_path: Path) -> None:
    study = folders(decided[0])[0].parent
    files.clear(study)
    assert len(list(study.glob(".packs/*"))) == 4
    for pack in decided:
        files.checkpoint_of(folders(pack)).touch()
        finish(pack)
    files.clear(study)
    assert list(study.glob(".packs/*")) == []


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"runs": []}', '{"runs": [1]}', '{"runs": "ab"}', "[" * 100_000])
def test_a_pack_whose_file_is_damaged_is_decided_again(
    content: str, decided: list[list[Store]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = decided
    file = files.checkpoint_of(folders(first)).with_suffix(".json")
    file.write_text(content)
    assert sorted(map(folders, files.under_way(runs(tmp_path), 2, 2))) == sorted(map(folders, others))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"initbench: {file} cannot be read (")
    assert line.endswith("): packs are decided without it")
    assert file.read_text() == content  # to look changes nothing
    files.clear(file.parent.parent)
    assert [path.name for path in file.parent.glob(f"{file.name}*")] == [f"{file.name}.damaged"]
    again = packed(runs(tmp_path), most=2, slots=2)
    assert sorted(path for pack in again for path in folders(pack)) == sorted(folders(runs(tmp_path)))


def test_a_pack_that_is_split_into_itself_stays_what_it_was(decided: list[list[Store]]) -> None:
    """With its checkpoint, from which it goes on."""
    whole = folders(decided[0])
    files.checkpoint_of(whole).touch()
    files.split(whole, [whole])
    assert files.is_written(whole)
    assert files.checkpoint_of(whole).exists()
    files.split(whole, [whole[:1], whole[1:]])
    assert not files.is_written(whole)
    assert not files.checkpoint_of(whole).exists()
    assert not any(files.is_written([folder]) for folder in whole)  # a run by itself is no pack


def test_the_file_of_a_pack_is_of_its_runs_in_their_order(tmp_path: Path) -> None:
    one, two, three, *_ = folders(runs(tmp_path))
    packs = [[one, two], [two, one], [one, three], [one, two, three], [one]]
    paths = [files.checkpoint_of(pack) for pack in packs]
    assert len(set(paths)) == len(packs)
    assert {path.parent for path in paths} == {one.parent / ".packs"}
    assert files.checkpoint_of([one, two]) == paths[0]


def test_a_pack_without_slots_was_divided_where_it_was_trained(tmp_path: Path) -> None:
    """It goes on if it has a checkpoint, and is decided again otherwise; of two that share a run one goes on."""
    some = runs(tmp_path)[:3]
    files.write(folders(some), slots=None)
    assert files.under_way(some, most=8, slots=1) == []
    files.checkpoint_of(folders(some)).touch()
    assert files.under_way(some, most=8, slots=1) == [some]
    assert files.under_way(some[1:], most=8, slots=1) == []
    files.write(folders(some[:2]), slots=1)
    (pack,) = files.under_way(some, most=8, slots=1)
    assert pack in (some, some[:2])
