"""Names that fit beside a plot, and lines that are told apart."""

from initbench.figures import COLOURS, DASHES, look, shortened


def test_looks_differ() -> None:
    number = len(COLOURS) * len(DASHES)
    assert len({look(index) for index in range(number)}) == number
    for lines in (COLOURS, DASHES):  # neighbours differ in both, for those who see no colours
        first = [look(index) for index in range(len(lines))]
        assert len({colour for colour, _ in first}) == len(lines)
        assert len({dash for _, dash in first}) == len(DASHES)


def test_long_names_keep_both_ends_and_stay_apart() -> None:
    names = ["short", *(f"orthogonal(gain={gain},{'x' * 200})" for gain in (1, 2)), "b" * 50 + "1", "b" * 50 + "2"]
    names += ["a" * 20 + middle + "z" * 30 for middle in "123"]
    short = shortened(names)
    assert short["short"] == "short"
    assert len(set(short.values())) == len(names)
    assert max(map(len, short.values())) <= 45
    assert short[names[1]].startswith("orthogonal(gain=1,")
    assert short["b" * 50 + "2"].endswith("2")
