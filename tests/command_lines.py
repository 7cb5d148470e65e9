"""The command lines in texts that people read, and whether a shell passes them on as they stand."""

import re
import subprocess
from collections.abc import Iterator

_PROGRAMS = r"(?:\w+=\S+ )*(?:python -m|python|initbench|make|pip|uv|ray|sbatch|scancel|\.) "
# What neither bash nor zsh expands or takes for syntax. zsh takes more than bash does: a glob without a match is an
# error, `=word` is the path of a program, and `#` begins no comment in a line that is typed.
_PLAIN = re.compile(r"(?!=)(?:[\w./:,+@%=-]|'[^'\n]*')+")
# An override outside of quotes with a value that needs them.
_UNQUOTED = re.compile(r"""(?<![\w'"./+~\]])[+~]*[a-z_][\w./]*=[^\s'"`,;)]*[\[{(*?!~#][^\s`]*""")


def commands(markdown: str) -> list[str]:
    """The command lines of a page: in fences of a shell, in those without a language, indented, and in backticks."""
    found = []
    fences = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", flags=re.MULTILINE | re.DOTALL)
    for language, lines in fences.findall(markdown):
        for line in lines.replace("\\\n", " ").splitlines():
            is_shell = language in ("sh", "bash", "shell", "console", "zsh")
            if (is_shell and line.strip()) or (not language and re.match(_PROGRAMS, line)):
                found.append(line)
    prose = fences.sub("", markdown)
    found += re.findall(rf"^(?:    |\t) *({_PROGRAMS}.*)$", prose, flags=re.MULTILINE)
    found += [code for code in re.findall(r"`([^`]+)`", prose) if re.match(_PROGRAMS, " ".join(code.split()))]
    return [" ".join(line.split()) for line in found]


def commands_of_help(text: str) -> Iterator[str]:
    """The command lines of a help text, which end at two spaces, as in a table, or with their line."""
    for line in re.findall(rf"^(?!usage:)(?:.*[ ;])?({_PROGRAMS}.*)", text, flags=re.MULTILINE):
        yield re.split(r"\s{2,}|$", line)[0]


def unquoted(text: str) -> list[str]:
    """Overrides in prose, such as a comment of a YAML file, that a shell would change if they were typed as shown."""
    return [found[0] for found in _UNQUOTED.finditer(text)]


def is_plain(command: str) -> bool:
    """Whether bash and zsh pass the words of a command on as `shlex` splits them."""
    return all(_PLAIN.fullmatch(word) for word in re.findall(r"(?:'[^'\n]*'|\S)+", command))


def words(command: str, *shell: str) -> list[str]:
    """The words that a shell makes of a command."""
    show = "show() { printf '%s\\0' \"$@\"; }"
    done = subprocess.run([*shell, "-c", f"{show}; show {command}"], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]
