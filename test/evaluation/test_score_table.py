"""One table on the terminal, as Markdown, HTML and JSON."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from e2e_slam_ros.evaluation.score_table import (
    UNKNOWN,
    Column,
    ScoreRow,
    ScoreTable,
    counted,
    number,
)

TABLE = ScoreTable(
    (Column("RMSE", "rmse", ".2f"), Column("frames", "frames", ","), Column(role="remark")),
    (
        ScoreRow("before", (0.5, 1200, "a | <b>")),
        ScoreRow("before", (float("nan"), None, ""), "[textured]"),
        ScoreRow("after", (0.25, 800, ""), strong=True),
    ),
    title="two & two",
    label_title="stage",
    notes=("left out: <none>",),
)


def test_markdown_has_every_cell() -> None:
    assert TABLE.markdown().splitlines() == [
        "### two & two",
        "",
        "| stage | RMSE | frames | |",
        "|---|---:|---:|---|",
        "| before | 0.50 | 1,200 | a \\| <b> |",
        f"| before, [textured] | {UNKNOWN} | {UNKNOWN} | |",
        "| after | 0.25 | 800 | |",
        "",
        "* left out: <none>",
    ]


def test_the_terminal_shows_parts_indented_and_brackets_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=100)
    TABLE.print(console)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines[0] == "two & two"
    assert lines[2].split() == ["before", "0.50", "1,200", "a", "|", "<b>"]
    assert lines[3].startswith("  [textured]")
    assert lines[-1] == "left out: <none>"


def test_html_is_escaped() -> None:
    text = TABLE.html()
    assert text.count("<tr") == 4
    assert "a | &lt;b&gt;" in text and "left out: &lt;none&gt;" in text
    assert '<tr class="strong"><th scope="row">after</th>' in text
    untitled = ScoreTable((Column(),), (ScoreRow("x", (1,)),))
    assert untitled.html().count("<tr") == 1


def test_json_has_plain_values_by_key() -> None:
    assert TABLE.to_json() == [
        {"rmse": 0.5, "frames": 1200},
        {"rmse": None, "frames": None},
        {"rmse": 0.25, "frames": 800},
    ]
    json.dumps(TABLE.to_json(), allow_nan=False)


def test_a_mean_is_over_what_is_known() -> None:
    mean = TABLE.mean("all")
    assert (mean.label, mean.cells) == ("all", (0.375, 1000.0, None))
    assert ScoreTable(TABLE.columns, TABLE.rows[1:2]).mean().cells == (None, None, None)


def test_a_row_needs_a_cell_for_every_column() -> None:
    short = ScoreTable(TABLE.columns, (ScoreRow("x", (1.0,)),))
    for show in (short.markdown, short.html, short.to_json):
        with pytest.raises(ValueError):
            show()


def test_numbers_and_counts_in_words() -> None:
    assert number(0.1234, ".2f", " m") == "0.12 m"
    assert number(None, ".2f", " m") == number(float("nan"), ".2f", " m") == UNKNOWN
    assert counted({"no pose": 1200}) == ["no pose (1,200)"]
