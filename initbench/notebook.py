"""Results in a notebook, as HTML: names are shown as plain text, and colours are those of the page, light or dark."""

import math
from collections.abc import Sequence
from html import escape

_MOST_ROWS = 200  # of a table; the scrolling block shows about twenty at once
_WIDTH, _HEIGHT, _MARGIN = 72, 18, 2  # of a sparkline, in pixels


def block(*parts: str) -> str:
    """HTML parts as one output, in which $ does not start a formula."""
    return f'<div class="tex2jax_ignore mathjax_ignore">{"".join(parts)}</div>'


def paragraph(text: str, *, strong: bool = False) -> str:
    """A paragraph of text."""
    return f"<p><strong>{escape(text)}</strong></p>" if strong else f"<p>{escape(text)}</p>"


def commands(lines: Sequence[str]) -> str:
    """Commands to copy, one below the other."""
    return f"<pre><code>{escape(chr(10).join(lines))}</code></pre>"


def bullets(texts: Sequence[str]) -> str:
    """A list of texts."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    names: int = 1,
    sparklines: Sequence[str] = (),
) -> str:
    """A table in a scrolling block; a long one lacks rows in the middle and says how many.

    names: how many columns, from the left, hold words instead of numbers; sparklines: the HTML below each heading.
    """
    sides = ["left"] * names + ["right"] * (len(columns) - names)

    def line(tag: str, cells: Sequence[str]) -> str:
        aligned = [f'<{tag} style="text-align: {side}">{cell}' for side, cell in zip(sides, cells, strict=True)]
        return f"<tr>{''.join(aligned)}</tr>"  # HTML needs no end of a cell

    lines = [line("td", [escape(cell) for cell in row]) for row in rows]
    if left_out := max(len(rows) - _MOST_ROWS, 0):
        half = _MOST_ROWS // 2
        gap = f'<tr><td colspan="{len(columns)}" style="text-align: left">… {left_out} more rows …</td></tr>'
        lines = [*lines[:half], gap, *lines[-half:]]
    caption = f'<caption style="text-align: left">{escape(title)}</caption>' if title else ""
    head = line("th", [escape(column) for column in columns]) + (line("td", sparklines) if sparklines else "")
    return (
        f'<div style="max-height: 30em; overflow: auto"><table>{caption}<thead>{head}</thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def sparkline(values: Sequence[float], *, is_log: bool = False) -> str:
    """A small curve of the values as SVG; empty if fewer than two can be drawn.

    Its height is at least one decade (is_log) or 1, the range of a share, so that noise does not look like a trend.
    """
    heights = [_height(value, is_log) for value in values]
    known = [height for height in heights if height is not None]
    if len(known) < 2:
        return ""
    middle, span = (max(known) + min(known)) / 2, max(max(known) - min(known), 1.0)
    path, pen = [], "M"
    for place, height in enumerate(heights):
        if height is None:
            pen = "M"  # a gap
            continue
        x = _MARGIN + place / (len(heights) - 1) * (_WIDTH - 2 * _MARGIN)
        y = _HEIGHT / 2 - (height - middle) / span * (_HEIGHT - 2 * _MARGIN)
        path.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="through depth">'
        f'<path d="{" ".join(path)}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    )


def _height(value: float, is_log: bool) -> float | None:
    if not math.isfinite(value) or (is_log and value <= 0):
        return None
    return math.log10(value) if is_log else value
