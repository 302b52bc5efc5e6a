"""The report: one self-contained HTML page of sections, tables and figures.

The page loads nothing from elsewhere: its policy forbids it to the browser. Its only script is
that of the interactive map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from importlib.resources import files
from typing import Literal

from e2e_slam_ros.evaluation.figure import png_uri
from e2e_slam_ros.evaluation.score_table import ScoreTable

# What stands in the page itself, and nothing else.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)


class Report:
    """A page that is filled section by section.

    Args:
        kind: what the page reports on, in small letters beside the title.
        command: the line that made it; empty leaves it out.

    >>> page = Report("desk", "mapping run")
    >>> page.section("Problems", lambda: bullets(["1 frame has no pose"]))
    >>> "<li>1 frame has no pose</li>" in page.html()
    True
    """

    def __init__(
        self, title: str, kind: str, lines: Sequence[str] = (), command: str = ""
    ) -> None:
        self._title = title
        told = "".join(f"<p>{escape(line)}</p>" for line in lines)
        if command:
            told += f"<p><code>{escape(command)}</code></p>"
        heading = f"<h1>{escape(title)} <small>{escape(kind)}</small></h1>"
        self._parts = [("", f"<header>{heading}{told}</header>")]

    def cards(self, cards: Sequence[tuple[str, str]]) -> None:
        """Add a row of large figures: label and value of each."""
        items = "".join(
            f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
            for label, value in cards
        )
        self._parts.append(("", f'<div class="cards">{items}</div>'))

    def size(self) -> int:
        """Return the number of characters so far."""
        return len(self.html())

    def section(
        self, name: str, draw: Callable[[], str], warn: bool = False, before: str = ""
    ) -> None:
        """Add a section.

        Args:
            draw: returns its HTML. When it fails the section says why, and the page goes on.
            warn: give the section the colour of a warning.
            before: name of the section in front of which it stands; at the end where there is
                none of that name.
        """
        try:
            content = draw()
        except Exception as error:  # noqa: BLE001 - a picture must not cost the page
            content = empty(f"This part could not be drawn: {type(error).__name__}: {error}")
        kind = ' class="warn"' if warn else ""
        part = f"<section{kind}><h2>{escape(name)}</h2>\n{content}\n</section>"
        names = [known for known, _ in self._parts]
        place = names.index(before) if before and before in names else len(names)
        self._parts.insert(place, (name, part))

    def html(self) -> str:
        """Return the page."""
        style = (files("e2e_slam_ros.evaluation") / "report.css").read_text(encoding="utf-8")
        head = (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self._title)} · e2e_slam_ros</title><style>{style}</style></head>"
            "<body><main>"
        )
        parts = [part for _, part in self._parts]
        return "\n".join([head, *parts, "</main></body></html>"]) + "\n"


def protocol_page(
    title: str, tables: Mapping[str, ScoreTable], pictures: Mapping[str, bytes]
) -> str:
    """Return the page of an evaluation protocol: heading -> table, then heading -> PNG file."""
    page = Report(title, "evaluation")
    for name, table in tables.items():
        page.section(name, table.html)
    for name, file in pictures.items():
        page.section(name, partial(figure, png_uri(file), name))
    return page.html()


def figure(
    uri: str, alt: str, caption: str = "", kind: Literal["photo", "chart"] = "photo"
) -> str:
    """Return a picture given as ``data:`` address; a "chart" has no background."""
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img class="{kind}" src="{uri}" alt="{escape(alt)}">{text}</figure>'


def chart(uri: str | None, title: str, alt: str = "") -> str:
    """Return a chart with its title above it; None is a chart without points."""
    drawn = empty("Nothing to plot.") if uri is None else figure(uri, alt or title, kind="chart")
    return f"<div><h3>{escape(title)}</h3>{drawn}</div>"


def side_by_side(*blocks: str) -> str:
    """Return blocks in columns, below one another on a narrow page."""
    return f'<div class="columns">{"".join(blocks)}</div>'


def link(address: str, text: str) -> str:
    """Return a link to a file beside the page."""
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def hint(text: str) -> str:
    """Return a small paragraph."""
    return f'<p class="hint">{escape(text)}</p>'


def empty(text: str) -> str:
    """Return a small paragraph that stands where there is nothing to show."""
    return f'<p class="none">{escape(text)}</p>'


def bullets(lines: Sequence[str]) -> str:
    """Return a list."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def preformatted(text: str) -> str:
    """Return text with its line breaks."""
    return f"<pre>{escape(text)}</pre>"


def details(summary: str, content: str) -> str:
    """Return HTML that is folded away under a line of text."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"
