"""docs/gallery.md is what scripts/gallery.py writes."""

import re

import gallery

PAGE = (gallery.ROOT / "docs" / "gallery.md").read_text()


def test_every_study_has_a_section_in_its_order() -> None:
    """Otherwise: python scripts/gallery.py"""
    headings = [gallery.named(text) for text in PAGE.split("\n## ")[1:]]
    assert headings == [*gallery.STUDIES, "attribution", "More questions"]


def test_the_text_around_the_sections_is_that_of_the_script() -> None:
    assert PAGE.startswith(gallery.INTRODUCTION)
    assert PAGE.endswith(gallery.ELSEWHERE)


def test_every_picture_is_shown() -> None:
    assert set(re.findall(r"\]\(gallery/(.+?)\)", PAGE)) == {path.name for path in gallery.PICTURES.iterdir()}


def test_make_gallery_runs_the_commands_that_are_shown() -> None:
    makefile = " ".join((gallery.ROOT / "Makefile").read_text().replace("\\\n", " ").split())
    assert f"python -m initbench.attribution {gallery.PARTS}" in makefile
