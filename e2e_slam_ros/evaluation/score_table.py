"""The score table: named columns, rows of figures, and their means.

One table is shown on the terminal, as Markdown, as HTML and as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape as html_escape
from typing import Literal, TypeAlias

from rich.console import Console
from rich.markup import escape as rich_escape
from rich.table import Table

UNKNOWN = "–"

Cell: TypeAlias = float | int | str | None


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: the heading; may be empty.
        key: name of the values in JSON; without one they are left out there.
        spec: format of numbers, as for `format`; without one a column has no mean.
        role: "figure" is aligned right, "result" is also bold, "remark" is aligned left and dim.

    >>> Column("RMSE", "rmse", ".3f").role
    'figure'
    """

    title: str = ""
    key: str = ""
    spec: str = ""
    role: Literal["figure", "result", "remark"] = "figure"


@dataclass(frozen=True)
class ScoreRow:
    """One row of a table.

    Attributes:
        label: name of the row.
        cells: one value a column; None and NaN are unknown.
        part: the part of ``label`` that the row is about; indented where rows have an order.
        strong: set in bold.

    >>> ScoreRow("after", (0.1,), part="textured").full_label
    'after, textured'
    """

    label: str
    cells: tuple[Cell, ...]
    part: str = ""
    strong: bool = False

    @property
    def full_label(self) -> str:
        """The label with its part: "after, textured"."""
        return ", ".join(words for words in (self.label, self.part) if words)

    @property
    def short_label(self) -> str:
        """The indented part alone where there is one, else the label."""
        return f"  {self.part}" if self.part else self.label


@dataclass(frozen=True)
class ScoreTable:
    """Rows of figures under named columns.

    Attributes:
        columns: beside the labels.
        rows: each with as many cells as there are columns.
        title: above the table on the terminal and in Markdown.
        label_title: heading of the labels.
        notes: sentences below the table.

    >>> rows = (ScoreRow("first", (0.25,)), ScoreRow("second", (0.75,)))
    >>> table = ScoreTable((Column("RMSE", "rmse", ".2f"),), rows)
    >>> table.to_json(), table.mean().cells
    ([{'rmse': 0.25}, {'rmse': 0.75}], (0.5,))
    """

    columns: tuple[Column, ...]
    rows: tuple[ScoreRow, ...]
    title: str = ""
    label_title: str = ""
    notes: tuple[str, ...] = ()

    def mean(self, label: str = "mean") -> ScoreRow:
        """Return the mean of each column with a format over the rows where it is known."""
        cells = zip(*(row.cells for row in self.rows), strict=True)
        columns = zip(self.columns, cells, strict=True)
        means = (_mean(values) if column.spec else None for column, values in columns)
        return ScoreRow(label, tuple(means), strong=True)

    def rich(self) -> Table:
        """Return the table for the terminal, without its notes."""
        table = Table(
            title=rich_escape(self.title) or None, title_justify="left", box=None, pad_edge=False
        )
        table.add_column(rich_escape(self.label_title), no_wrap=True)
        for column in self.columns:
            is_text = column.role == "remark"
            table.add_column(
                rich_escape(column.title),
                justify="left" if is_text else "right",
                style={"result": "bold", "remark": "dim", "figure": ""}[column.role],
                no_wrap=not is_text,
            )
        for row in self.rows:
            texts = (rich_escape(text) for text in (row.short_label, *self._texts(row)))
            table.add_row(*texts, style="bold" if row.strong else None)
        return table

    def print(self, console: Console) -> None:
        """Print the table and its notes."""
        console.print(self.rich())
        console.print()
        for note in self.notes:
            console.print(note, style="dim", markup=False, highlight=False, soft_wrap=True)

    def markdown(self) -> str:
        """Return title, table and notes."""
        rules = ["---|" if column.role == "remark" else "---:|" for column in self.columns]
        lines = [
            f"### {self.title}",
            "",
            _markdown_row([self.label_title, *(column.title for column in self.columns)]),
            "|---|" + "".join(rules),
            *(_markdown_row([row.full_label, *self._texts(row)]) for row in self.rows),
            "",
            *(f"* {note}" for note in self.notes),
        ]
        return "\n".join(lines) + "\n"

    def html(self) -> str:
        """Return a ``<table>``, and the notes as a list."""
        titles = [self.label_title, *(column.title for column in self.columns)]
        roles = ["", *(column.role for column in self.columns)]
        head = "".join(
            f'<th class="{role}">{html_escape(title)}</th>'
            for title, role in zip(titles, roles, strict=True)
        )
        body = [f"<tr>{head}</tr>"] if any(titles) else []
        for row in self.rows:
            cells = "".join(
                f'<td class="{column.role}">{html_escape(text)}</td>'
                for text, column in zip(self._texts(row), self.columns, strict=True)
            )
            start = '<tr class="strong">' if row.strong else "<tr>"
            body.append(f'{start}<th scope="row">{html_escape(row.full_label)}</th>{cells}</tr>')
        notes = "".join(f"<li>{html_escape(note)}</li>" for note in self.notes)
        return f"<table>{''.join(body)}</table>" + (f"<ul>{notes}</ul>" if notes else "")

    def to_json(self) -> list[dict[str, Cell]]:
        """Return each row's cells by the keys of their columns; unknown numbers are None."""
        keys = [column.key for column in self.columns]
        return [
            {key: _known(cell) for key, cell in zip(keys, row.cells, strict=True) if key}
            for row in self.rows
        ]

    def _texts(self, row: ScoreRow) -> list[str]:
        return [_text(cell, column) for cell, column in zip(row.cells, self.columns, strict=True)]


def number(value: float | None, spec: str = "", unit: str = "") -> str:
    """Return a number as text; a dash where it is None or NaN."""
    return UNKNOWN if _known(value) is None else f"{value:{spec}}{unit}"


def counted(kinds: Mapping[str, int]) -> list[str]:
    """Return "kind (n)" for each kind."""
    return [f"{kind} ({count:,})" for kind, count in kinds.items()]


def _text(cell: Cell, column: Column) -> str:
    if isinstance(cell, str):
        return cell
    return "" if cell is None and column.role == "remark" else number(cell, column.spec)


def _known(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def _mean(cells: tuple[Cell, ...]) -> float | None:
    known = [c for c in cells if isinstance(c, int | float) and not math.isnan(c)]
    return sum(known) / len(known) if known else None


def _markdown_row(texts: list[str]) -> str:
    cells = " | ".join(text.replace("|", "\\|") for text in texts)
    return f"| {cells} |".replace("|  |", "| |", 1)
