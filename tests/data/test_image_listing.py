"""What a folder of images may hold beside them, and how its classes may be named."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from initbench.data import image_folder
from initbench.data.arrays import Arrays
from initbench.data.listing import list_images, several


def save(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), len(file.name)).save(file, "PNG")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    save(*(root / split / name / f"{i}.png" for split in ("train", "test") for name in ("cat", "dog") for i in (0, 1)))
    return root


def read(tree: Path) -> Arrays:
    return image_folder("", str(tree), 4, 1)


def test_nothing_is_said_of_a_folder_of_images_alone(tree: Path) -> None:
    read(tree)  # makes .initbench
    assert list_images(tree).remarks == []


def test_images_are_listed_by_split_class_and_name(tree: Path) -> None:
    (tree / "train/cat/1.png").rename(tree / "train/cat/10.png")
    save(tree / "train/cat/9.png")
    found = list_images(tree)
    names = ["train/cat/0", "train/cat/10", "train/cat/9", "train/dog/0", "train/dog/1"]
    names += ["test/cat/0", "test/cat/1", "test/dog/0", "test/dog/1"]
    assert found.files == [f"{tree}/{name}.png" for name in names]
    assert found.labels == [0, 0, 0, 1, 1, 0, 0, 1, 1]
    assert found.num_train == 5
    assert found.mean_bytes == sum(Path(file).stat().st_size for file in found.files) / 9


@pytest.mark.parametrize("change", ["size", "time", "name", "class", "split", "more"])
def test_the_digest_is_that_of_paths_sizes_and_times(tree: Path, change: str) -> None:
    file = tree / "train/cat/1.png"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    before = list_images(tree).digest
    assert list_images(tree).digest == before
    if change == "size":
        file.write_bytes(file.read_bytes() + b" ")
        os.utime(file, ns=times)
    elif change == "time":
        os.utime(file, ns=(times[0], times[1] + 1))
    elif change == "more":
        shutil.copy2(file, file.with_name("2.png"))
    else:
        new = {"name": "train/cat/2.png", "class": "train/dog/2.png", "split": "test/cat/2.png"}[change]
        file.rename(tree / new)
    assert list_images(tree).digest != before


def test_what_is_passed_over_is_counted_in_one_line(tree: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save(
        tree / "train/cat/nested/0.png",
        tree / "train/stray.png",
        tree / "val/cat/0.png",
        tree / "train/cat/x.png/0.png",
    )
    for name in ("LICENSE", "train/cat/notes.txt", "train/cat/a.heic", "train/dog/b", "test/labels.csv"):
        (tree / name).write_bytes(b"")
    for name in (".git", "train/.cache"):
        (tree / name).mkdir()
    for name in (".DS_Store", "train/cat/.hidden.png"):
        (tree / name).write_bytes(b"")
    os.mkfifo(tree / "test" / "dog" / "pipe.png")  # opening it would wait for ever
    assert len(read(tree).train_images) == 4
    lines = [line for line in capfd.readouterr().err.splitlines() if "skipped" in line]
    assert lines == [
        f"initbench: {tree}: skipped 4 hidden (.DS_Store, .git, train/.cache and 1 more), "
        "6 files of another type (LICENSE, test/dog/pipe.png, test/labels.csv and 3 more), "
        "1 image outside the classes (train/stray.png), "
        "3 folders (train/cat/nested, train/cat/x.png, val)"
    ]


def test_a_class_without_images_says_what_it_has(tree: Path) -> None:
    shutil.rmtree(tree / "train" / "cat")
    save(tree / "train/cat/kitten/0.png")
    (tree / "train/cat/a.heic").write_bytes(b"")
    with pytest.raises(ValueError, match=r"cat has no images \(skipped: a\.heic, kitten\)$"):
        read(tree)


@pytest.mark.parametrize("target", ["nowhere.png", "a.png", "b.png"])
def test_a_link_that_leads_nowhere_is_named(tree: Path, target: str) -> None:
    first, second = tree / "train/cat/a.png", tree / "train/cat/b.png"
    first.symlink_to(target)
    if target == "b.png":
        second.symlink_to("a.png")  # they link to each other
    links = [str(link) for link in (first, second) if link.is_symlink()]
    words = "a link leads nowhere" if len(links) == 1 else "these links lead nowhere"
    with pytest.raises(ValueError, match=words) as caught:
        read(tree)
    assert all(link in str(caught.value) for link in links)
    assert "\n" not in str(caught.value)


def test_many_links_that_lead_nowhere_are_one_line(tree: Path) -> None:
    for i in range(10):
        (tree / "train/cat" / f"link{i}.png").symlink_to(f"missing{i}")
    with pytest.raises(
        ValueError, match=r"link\d\.png, .*link\d\.png, .*link\d\.png and 7 more: these links lead nowhere"
    ):
        read(tree)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_that_links_nowhere_is_named(tree: Path, split: str) -> None:
    (tree / split / "horse").symlink_to("missing")
    with pytest.raises(ValueError, match=rf"{split}/horse: a link leads nowhere"):
        read(tree)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_that_links_nowhere_is_missing(tree: Path, split: str) -> None:
    shutil.rmtree(tree / split)
    for target in ("missing", split):
        (tree / split).symlink_to(target)
        with pytest.raises(ValueError, match=rf"no folder .*images/{split}: expected"):
            read(tree)
        (tree / split).unlink()


def test_links_to_images_classes_and_splits_are_followed(tree: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(tree / "train/cat/0.png", elsewhere / "0.png")
    (tree / "train/cat/0.png").symlink_to(elsewhere / "0.png")
    for name in ("train/dog", "test"):
        shutil.move(tree / name, elsewhere / Path(name).name)
        (tree / name).symlink_to(elsewhere / Path(name).name)
    arrays = read(tree)
    assert (len(arrays.train_images), len(arrays.test_images)) == (4, 4)


def test_a_link_to_its_own_parents_ends(tree: Path) -> None:
    (tree / "train/cat/up").symlink_to("..")
    (tree / "train/cat/self").symlink_to(".")
    assert len(read(tree).train_images) == 4
    assert "2 folders (train/cat/self, train/cat/up)" in list_images(tree).remarks[0]


@pytest.mark.parametrize(
    "name", ["über", "猫", "a b", " x ", "é", "e\u0301", "a'b\"c", "=cmd", "[red]", "100%", "a\nb"]
)
def test_a_class_may_have_any_name(tree: Path, name: str) -> None:
    for split in ("train", "test"):
        (tree / split / "cat").rename(tree / split / name)
    assert set(read(tree).classes) == {name, "dog"}


def test_a_class_may_have_a_name_that_is_no_unicode(tree: Path) -> None:
    for split in ("train", "test"):
        (tree / split / "cat").rename(os.fsdecode(bytes(tree / split) + b"/caf\xe9"))
    assert len(read(tree).classes) == 2


def test_a_file_with_a_line_break_in_its_name_is_named_in_one_line(tree: Path) -> None:
    (tree / "train/cat/a\nb.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\\nb\.png' cannot be read as an image: it is empty$"):
        read(tree)


def test_a_class_may_have_one_image(tree: Path) -> None:
    (tree / "train/cat/1.png").unlink()
    (tree / "test/dog/1.png").unlink()
    arrays = read(tree)
    assert (arrays.train_labels.tolist(), arrays.test_labels.tolist()) == ([0, 1, 1], [0, 0, 1])


def test_classes_that_test_lacks_are_told(tree: Path) -> None:
    shutil.rmtree(tree / "test/cat")
    assert list_images(tree).remarks == [f"{tree}/test has no images of cat: 1 of 2 classes"]


@pytest.mark.parametrize("names", [("Cat", "cat"), ("é", "e\u0301")], ids=["case", "composition"])
def test_classes_whose_names_look_alike_are_two_and_told(tree: Path, names: tuple[str, str]) -> None:
    for split in ("train", "test"):
        (tree / split / "cat").rename(tree / split / names[0])
        save(tree / split / names[1] / "0.png")
    if len(list((tree / "train").iterdir())) < 3:
        pytest.skip("this file system takes them for one")
    assert len(read(tree).classes) == 3
    shown = ", ".join(map(ascii, sorted(names)))
    assert list_images(tree).remarks == [f"{tree}/train: {shown} are 2 classes, though the names look alike"]


def test_a_class_of_test_in_another_case_is_recognised(tree: Path) -> None:
    (tree / "test/cat").rename(tree / "test/Cat")
    with pytest.raises(ValueError, match=r"class 'Cat' of .*test is not in train\. Did you mean 'cat'\?"):
        read(tree)


def test_names_in_a_line_are_few_and_printable() -> None:
    assert several(["a"]) == "a"
    assert several(["a", "b", "c"]) == "a, b, c"
    assert several(["a", "b\n", "c", "d", "e"]) == r"a, 'b\n', c and 2 more"
