"""Text that pdflatex can print, whatever letters it contains."""

# ruff: noqa: RUF001 - ambiguous letters are what this file is about

import re
import unicodedata

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "_": r"\_\allowbreak{}"}
_SPECIAL |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$", "≤": r"$\le$"}
_SPECIAL |= {"≥": r"$\ge$", "≠": r"$\neq$", "≈": r"$\approx$", "∞": r"$\infty$", "√": r"$\surd$", "−": r"$-$"}
_SPECIAL |= {"·": r"$\cdot$", "°": r"$^\circ$", "²": "$^2$", "³": "$^3$", "µ": r"$\mu$", "\u00a0": "~"}
_SPECIAL |= {"×": r"$\times$", "→": r"$\to$", "∑": r"$\sum$", "∂": r"$\partial$", "…": r"\dots{}", "\u200b": ""}
_SPECIAL |= {character: f"\\{character}" for character in "&%$#{}"}
_KNOWN = "‘’“”–—ßæøåÆØÅœŒłŁ§¶©£¡¿"  # in its standard fonts, like Latin letters with these accents
_ACCENTS = ("0300", "0301", "0302", "0303", "0308", "030C")
_GREEK = re.compile(
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|mu|nu|xi|pi|rho|sigma|tau|upsilon|phi|chi|psi|omega"
)
_LATIN = re.compile("Alpha|Beta|Epsilon|Zeta|Eta|Iota|Kappa|Mu|Nu|Rho|Tau|Chi")  # capitals that have no command


def escape(text: str) -> str:
    """The text with all special characters escaped.

    Long names may be broken after punctuation; a letter that the fonts lack becomes its code, such as (U+4E2D).
    """
    return re.sub(r"(?<=[,=])(?=\S)", r"\\allowbreak{}", "".join(map(_character, text)))


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    letter, _, accent = unicodedata.decomposition(character).partition(" ")
    is_accented = accent in _ACCENTS and ord(character) < 0x180 and chr(int(letter, 16)).isascii()
    if " " <= character <= "~" or character in _KNOWN or is_accented:
        return character
    name = unicodedata.name(character, "")
    if not name:
        return " "  # a control character
    letter = name.rpartition(" ")[2].lower()
    if name.startswith("GREEK") and "WITH" not in name and _GREEK.fullmatch(letter):
        command = letter.capitalize() if "CAPITAL" in name else letter
        return command[0] if _LATIN.fullmatch(command) else rf"$\{command}$"
    return f"(U+{ord(character):04X})"
