"""How messages write numbers, durations, and names from elsewhere."""

import unicodedata

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def visible(text: str) -> str:
    r"""The text in one line, with control characters made visible: `\x1b[31m`, `\n`, `\u202e`.

    Names and the messages of exceptions come from files, servers and other people's code, and may hold anything.
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def _seen(character: str) -> str:
    # Other spaces, and the joiners of emoji and of Indian and Persian words, are as harmless as letters.
    if character.isprintable() or unicodedata.category(character) == "Zs" or character in "\u200c\u200d":
        return character
    return character.encode("unicode_escape").decode()


def count(number: float, noun: str, plural: str = "", *, words: bool = False) -> str:
    """ "1 run", "3 runs", or with `words` "three runs"; `plural` where that is not the noun with an s."""
    shown = spelled(int(number)) if words else f"{number:.0f}"
    return f"{shown} {noun if number == 1 else plural or f'{noun}s'}"


def spelled(number: int) -> str:
    """A number in words up to twelve, in digits beyond."""
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {whole:02} s" if minutes else f"{whole} s"


def about(seconds: float) -> str:
    """An estimate, rounded: `about 40 s`, `about 6 min`, `about 2 h 10 min`, `about 3 d 4 h`."""
    if seconds < 59.5:
        return f"about {max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes >= 60:
        minutes = 10 * round(minutes / 10)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{number} {unit}" for number, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if number]
    return f"about {' '.join(parts[:2])}"


def percent(share: float) -> str:
    """A share in whole percent, below ten with a digit more: 63%, 4.2%."""
    return f"{share:.0%}" if share >= 0.0995 or not share else f"{share:.1%}"
