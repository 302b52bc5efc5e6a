"""Charts and pictures, read back as a browser would."""

from __future__ import annotations

import base64
import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from e2e_slam_ros.evaluation.figure import (
    Panel,
    Series,
    bar_chart,
    jpeg_uri,
    line_chart,
    over_uri,
    panel_grid,
    png,
)


def decoded(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(body)))


def test_pictures_over_a_colour() -> None:
    picture = np.zeros((8, 16, 4), np.uint8)
    picture[:, 8:] = 200, 100, 50, 255
    shown = np.array(decoded(over_uri(picture, (10, 20, 30))))
    assert shown[4, 2].tolist() == pytest.approx([10, 20, 30], abs=5)
    assert shown[4, 13].tolist() == pytest.approx([200, 100, 50], abs=5)


def svg(uri: str | None) -> str:
    assert uri is not None
    head, _, body = uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    text = base64.b64decode(body).decode()
    ElementTree.fromstring(text)
    return text


def line(y: list[float], label: str = "a & b") -> Series:
    return Series(np.arange(len(y), dtype=float), np.array(y), label)


def test_a_chart_is_one_svg_and_equal_charts_are_equal_files() -> None:
    chart = line_chart([line([0.0, float("nan"), 2.0])], "time <s>", "m")
    assert "nan" not in svg(chart).lower()
    assert line_chart([line([0.0, float("nan"), 2.0])], "time <s>", "m") == chart
    assert line_chart([line([0.0, 1.0, 2.0])], "time <s>", "m") != chart


@pytest.mark.parametrize(
    "values", [[], [float("nan")], [1.0], [2.0, 2.0], [0.0, 0.0], [1e-7, 9e6]]
)
def test_a_chart_of_degenerate_values_is_drawn_or_is_none(values: list[float]) -> None:
    for equal in (False, True):
        chart = line_chart([line(values)], "s", "m", from_zero=True, equal=equal)
        assert (chart is not None) == bool(np.isfinite(values).any())
        if chart is not None:
            svg(chart)


def test_a_long_line_stays_a_small_file() -> None:
    noise = np.random.default_rng(0).normal(size=200_000)
    assert len(svg(line_chart([Series(np.arange(200_000.0), noise)], "s", "m"))) < 200_000


def test_bars_are_drawn_for_every_label() -> None:
    assert len(svg(bar_chart(["fuse"], [(1.0, 2.0)], "ms"))) < len(
        svg(bar_chart(["fuse", "depth", "prepare"], [(1.0, 2.0)] * 3, "ms"))
    )


def test_a_grid_has_a_panel_for_every_value() -> None:
    depth = np.full((20, 30), 2.0)
    depth[:, :10] = np.nan
    row = (Panel(np.zeros((20, 30, 3)), "image"), Panel(depth, "depth"), Panel(depth / 9, "error"))
    one, two = (panel_grid(("a", "b", "c"), [("x", row)] * n, (0.0, 4.0)) for n in (1, 2))
    small, large = Image.open(io.BytesIO(png(one))), decoded(jpeg_uri(two))
    assert small.width == large.width and small.height < large.height
