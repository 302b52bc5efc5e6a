"""The interactive map of the report: what it holds, its size, and that a browser draws it."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chromium import chromium_page
from e2e_slam_ros.evaluation.run.artifacts import write_run
from e2e_slam_ros.evaluation.run.map_view import map_view
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

REPO = Path(__file__).resolve().parents[3]
ROOM = 3_000_000
PATH_COLOR = (255, 64, 129)


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'data-map="data">(.*?)</script>', html)
    assert found
    return dict(json.loads(found[1]))


def values(text: str, kind: Any) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind).reshape(-1, 3)


def large_cloud(count: int) -> SurfelCloud:
    rng = np.random.default_rng(3)
    positions = rng.uniform(-4.0, 4.0, (count, 3)).astype(np.float32)
    normals = np.tile(np.float32([0, 0, 1]), (count, 1))
    colors = rng.integers(0, 256, (count, 3), dtype=np.uint8)
    return SurfelCloud(positions, normals, colors, np.ones(count, np.float32))


def test_positions_colours_and_path_are_those_of_the_map(wall_run: Any) -> None:
    data = data_of(map_view(wall_run.summary, wall_run.cloud, ROOM))
    extent = np.array(data["extent_m"])
    shown = (values(data["positions"], "<u2") / 65535.0 - 0.5) * extent
    path = values(data["path"], "<f4").astype(np.float64)
    true_path = wall_run.summary.trajectory.estimated[:, :3, 3]
    # The view's origin is the box's centre; the path tells where that is.
    center = true_path[0] - path[0]
    assert path + center == pytest.approx(true_path, abs=1e-5)
    cloud = wall_run.cloud
    step = float(extent.max()) / 65535.0
    for point, color in list(zip(shown + center, values(data["colors"], np.uint8), strict=True))[
        ::97
    ]:
        nearest = np.abs(cloud.positions - point).max(axis=1).argmin()
        assert np.abs(cloud.positions[nearest] - point).max() <= step
        assert (cloud.colors[nearest] == color).all()


def test_the_whole_page_stays_below_5_mb(wall_run: Any, tmp_path: Path) -> None:
    cloud = large_cloud(900_000)
    write_run(tmp_path, wall_run.summary, cloud, wall_run.config)
    page = tmp_path / "report.html"
    assert page.stat().st_size <= 5_000_000
    assert len(values(data_of(page.read_text())["positions"], "<u2")) > 50_000


def test_the_map_is_thinned_to_the_room_it_has(wall_run: Any) -> None:
    cloud = large_cloud(200_000)
    for room in (900_000, 1_500_000):
        assert len(map_view(wall_run.summary, cloud, room)) <= room
    assert "no room" in map_view(wall_run.summary, cloud, 600_000)


def test_strays_do_not_shrink_the_map(wall_run: Any) -> None:
    cloud = large_cloud(20_000)
    cloud.positions[:3] = 40_000.0
    cloud.positions[3] = np.nan
    html = map_view(wall_run.summary, cloud, ROOM)
    assert "3 surfels far from all others are not shown" in html
    assert max(data_of(html)["extent_m"]) < 15.0


def test_an_empty_map_says_so(empty_run: Any) -> None:
    assert "The map is empty." in map_view(empty_run.summary, empty_run.cloud, ROOM)


def test_a_map_without_poses_is_shown(wall_run: Any) -> None:
    none = dataclasses.replace(
        wall_run.summary.trajectory,
        stamps_ns=np.zeros(0, np.int64),
        estimated=np.zeros((0, 4, 4)),
        truth=np.zeros((0, 4, 4)),
    )
    summary = dataclasses.replace(wall_run.summary, trajectory=none)
    assert data_of(map_view(summary, wall_run.cloud, ROOM))["path"] == ""


def test_the_bundle_is_built_from_its_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO / "tools"))
    sys.modules.pop("build_map_view", None)
    import build_map_view

    first, _, rest = build_map_view.TARGET.read_text().partition("\n")
    assert first == f"// sources: {build_map_view.source_hash()}", "run tools/build_map_view.py"
    assert "SPDX-License-Identifier: MIT" in rest, "the licence asks for its notice"
    assert build_map_view.LICENCE.read_text().startswith("The MIT License")
    # Inside a script element these end it.
    assert "</script" not in rest and "<!--" not in rest


def test_a_browser_draws_and_turns_the_map(wall_run: Any, tmp_path: Path) -> None:
    write_run(tmp_path, wall_run.summary, wall_run.cloud, wall_run.config)
    with chromium_page(tmp_path / "profile") as page:
        page.open((tmp_path / "report.html").as_uri())
        box = "document.querySelector('.map-canvas canvas')"

        def value(expression: str) -> Any:
            found = page.call("Runtime.evaluate", expression=expression, returnByValue=True)
            return found["result"].get("value")

        page.wait_for(lambda _: bool(value(f"!!{box}")), 60.0)
        value(f"{box}.scrollIntoView({{block: 'center'}})")
        place = value(f"(r => [r.left, r.top, r.right, r.bottom])({box}.getBoundingClientRect())")
        left, top, right, bottom = (round(v) for v in place)

        def canvas(picture: np.ndarray) -> np.ndarray:
            return picture[max(0, top) : bottom, left:right].astype(int)

        def drawn(picture: np.ndarray) -> bool:
            shown = canvas(picture)
            wall = (np.abs(shown - (32, 38, 47)).max(axis=2) > 30).mean() > 0.02
            path = (np.abs(shown - PATH_COLOR).max(axis=2) < 40).sum() > 50
            return bool(wall and path)

        before = page.wait_for(drawn, 60.0)
        assert drawn(before), "no surfels or no path in the picture"
        at = {"x": (left + right) / 2, "y": (max(0, top) + bottom) / 2, "button": "left"}
        page.call("Input.dispatchMouseEvent", type="mousePressed", clickCount=1, **at)
        for _ in range(4):
            at["x"] += 30
            page.call("Input.dispatchMouseEvent", type="mouseMoved", **at)
        page.call("Input.dispatchMouseEvent", type="mouseReleased", clickCount=1, **at)
        was = canvas(before)
        after = page.wait_for(lambda new: bool((np.abs(canvas(new) - was) > 30).any()), 60.0)
        assert (np.abs(canvas(after) - was).max(axis=2) > 30).mean() > 0.01, "it did not turn"
        assert page.errors == []
