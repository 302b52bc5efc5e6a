"""The page writer: one file, escaped, and whole when a part of it fails."""

from __future__ import annotations

from e2e_slam_ros.evaluation.report import (
    Report,
    bullets,
    chart,
    details,
    figure,
    preformatted,
    protocol_page,
    side_by_side,
)
from e2e_slam_ros.evaluation.score_table import Column, ScoreRow, ScoreTable


def test_a_page_has_its_sections_in_order_and_escapes_text() -> None:
    page = Report("a <run>", "mapping & more", ("on <this>",), "e2e-slam --x <y>")
    page.cards([("frames <n>", "1 & 2")])
    page.section("First", lambda: bullets(["<one>"]))
    page.section("Second", lambda: details("more", preformatted("<two>")), warn=True)
    text = page.html()
    assert text.startswith("<!DOCTYPE html>") and text.count("</section>") == 2
    for words in ("a &lt;run&gt;", "mapping &amp; more", "on &lt;this&gt;", "--x &lt;y&gt;"):
        assert words in text
    for words in ("frames &lt;n&gt;", "1 &amp; 2", "&lt;one&gt;", "&lt;two&gt;"):
        assert words in text
    assert text.index("First") < text.index('class="warn"') < text.index("Second")


def test_a_section_that_fails_says_why() -> None:
    def broken() -> str:
        raise ValueError("no <paint> left")

    page = Report("run", "kind")
    page.section("Broken", broken)
    page.section("Whole", lambda: side_by_side(figure("data:,", "a & b", "c < d"), "x"))
    text = page.html()
    assert "could not be drawn: ValueError: no &lt;paint&gt; left" in text
    assert 'alt="a &amp; b"' in text and "<figcaption>c &lt; d</figcaption>" in text


def test_a_chart_without_points_says_so() -> None:
    assert "Nothing to plot." in chart(None, "empty")
    assert 'alt="loss over s"' in chart("data:,", "Loss", "loss over s")


def test_the_page_of_a_protocol_has_tables_and_pictures() -> None:
    table = ScoreTable((Column("RMSE", "rmse", ".1f"),), (ScoreRow("after", (0.5,)),))
    text = protocol_page("depth", {"Scores": table}, {"Frames": b"png", "Curves": b"other"})
    assert "<h2>Scores</h2>" in text and "0.5" in text
    assert text.count("data:image/png;base64,") == 2
    assert text.index("<h2>Frames</h2>") < text.index("<h2>Curves</h2>")
