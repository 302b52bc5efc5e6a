from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from e2e_slam_ros.evaluation.pictures import bar_uri, color_uri, jpeg_uri, over_uri
from e2e_slam_ros.evaluation.plots import Series, line_chart
from e2e_slam_ros.evaluation.run.map_render import View, render, standard_views, up_axis
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud


def decoded(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(body)))


def test_values_become_the_colours_of_the_map_and_invalid_ones_transparent() -> None:
    values = np.array([[0.0, 1.0], [2.0, np.nan]], dtype=np.float32)
    valid = np.array([[True, True], [True, False]])
    picture = np.array(decoded(color_uri(values, valid, 0.0, 1.0, "gray")).convert("RGBA"))
    assert picture[0, 0].tolist() == [0, 0, 0, 255]
    assert picture[0, 1].tolist() == [255, 255, 255, 255]
    assert picture[1, 0].tolist() == [255, 255, 255, 255], "clipped"
    assert picture[1, 1, 3] == 0


def test_a_bar_runs_from_low_to_high() -> None:
    bar = np.array(decoded(bar_uri("gray")).convert("L"))
    assert bar.shape[0] == 1
    assert (bar[0, 0], bar[0, -1]) == (0, 255)


def test_photographs_and_pictures_over_a_colour() -> None:
    photo = np.full((20, 30, 3), (200, 100, 50), np.uint8)
    assert np.abs(np.array(decoded(jpeg_uri(photo))).astype(int) - photo).max() <= 4
    clear = np.zeros((8, 8, 4), np.uint8)
    assert np.array(decoded(over_uri(clear, (10, 20, 30))))[4, 4] == pytest.approx(
        [10, 20, 30], abs=3
    )


def cloud(positions: list[list[float]], colors: list[list[int]]) -> SurfelCloud:
    count = len(positions)
    normals = np.tile(np.float32([0, 0, -1]), (count, 1))
    return SurfelCloud(
        np.array(positions, np.float32).reshape(-1, 3),
        normals,
        np.array(colors, np.uint8).reshape(-1, 3),
        np.ones(count, np.float32),
    )


def test_a_render_shows_the_nearest_point_where_it_projects() -> None:
    view = View("front", np.eye(4), 50.0, False, True, 41, 31)
    points = cloud([[0, 0, 4], [0, 0, 2]], [[255, 0, 0], [0, 255, 0]])
    picture = render(points, view)
    assert picture[15, 20].tolist() == [0, 255, 0, 255]
    assert picture[0, 0, 3] == 0


def test_a_render_of_nothing_is_empty_and_has_no_views() -> None:
    nothing = cloud([], [])
    assert not render(nothing, View("", np.eye(4), 50.0, True, True, 16, 12)).any()
    assert standard_views(nothing, np.eye(4)[None]) == []


def test_up_is_where_the_images_tops_point() -> None:
    upright = np.eye(4)[None]
    assert up_axis(upright).tolist() == [0, -1, 0]
    ros = np.eye(4)
    ros[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]  # optical axes in a z-up map
    assert up_axis(ros[None]).tolist() == [0, 0, 1]
    assert up_axis(np.zeros((0, 4, 4))).tolist() == [0, 0, 1]


def line(y: list[float], label: str = "a & b") -> Series:
    return Series(np.arange(len(y), dtype=float), np.array(y), label, "plain")


def test_a_chart_is_svg_with_its_labels_escaped_and_gaps_left_out() -> None:
    chart = line_chart([line([0.0, float("nan"), 2.0])], "time <s>", "m")
    assert chart.count("<svg") == 1
    assert "nan" not in chart
    assert "time &lt;s&gt;" in chart
    assert "a &amp; b" in chart


@pytest.mark.parametrize(
    "values", [[], [float("nan")], [1.0], [2.0, 2.0], [0.0, 0.0], [1e-7, 9e6]]
)
def test_a_chart_of_degenerate_values_is_drawn_or_says_so(values: list[float]) -> None:
    chart = line_chart([line(values)], "s", "m", from_zero=True)
    assert ("<svg" in chart) == bool(np.isfinite(values).any())
    assert "nan" not in chart.lower()
