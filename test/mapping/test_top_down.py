"""Pictures from above: the right place, the right scale, no ceiling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.top_down import top_down_picture, write_png

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)
MARGIN, FOOTER = 16, 40


def sheet(
    low: tuple[float, float], high: tuple[float, float], height: float, color: object, facing: int
) -> SurfelCloud:
    """A horizontal rectangle, a surfel every 2 cm."""
    grid = np.meshgrid(np.arange(low[0], high[0], 0.02), np.arange(low[1], high[1], 0.02))
    x, y = (axis.ravel() for axis in grid)
    return SurfelCloud(
        np.stack([x, y, np.full_like(x, height)], axis=1).astype(np.float32),
        np.tile(np.array([0, 0, facing], np.float32), (len(x), 1)),
        np.tile(np.array(color, np.uint8), (len(x), 1)),
        np.ones(len(x), np.float32),
    )


def joined(*clouds: SurfelCloud) -> SurfelCloud:
    names = ("positions", "normals", "colors", "confidence")
    return SurfelCloud(*(np.concatenate([getattr(c, name) for c in clouds]) for name in names))


def rotated(cloud: SurfelCloud, R: npt.NDArray[np.float32]) -> SurfelCloud:
    return SurfelCloud(cloud.positions @ R.T, cloud.normals @ R.T, cloud.colors, cloud.confidence)


# Floor of 4 x 2 m, a table at x 3, y 0.5, a ceiling that faces down.
FLOOR = sheet((0, 0), (4, 2), 0.0, RED, 1)
TABLE = sheet((2.8, 0.3), (3.2, 0.7), 0.8, GREEN, 1)
CEILING = sheet((0, 0), (4, 2), 2.5, BLUE, -1)
ROOM = joined(CEILING, TABLE, FLOOR)


def is_room(picture: npt.NDArray[np.uint8]) -> bool:
    """Return whether the floor is seen, and the table right of the middle and near its bottom."""
    canvas = picture[:-FOOTER]
    height, width = (size - 2 * MARGIN for size in canvas.shape[:2])
    v, u = round(0.75 * height) + MARGIN, round(0.75 * width) + MARGIN
    table, floor = canvas[v, u].tolist(), canvas[v, width // 4].tolist()
    return table == list(GREEN) and floor == list(RED)


def test_floor_and_table_are_seen_and_the_ceiling_is_not() -> None:
    picture = top_down_picture(ROOM, longest_px=400)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    # The outermost half per cent of surfels may be cut off.
    assert picture.shape[1] == 400 + 2 * MARGIN
    assert abs(picture.shape[0] - FOOTER - 2 * MARGIN - 200) <= 4
    assert is_room(picture)
    assert not (picture == BLUE).all(axis=2).any()


def test_the_top_is_cut_whichever_way_it_faces() -> None:
    lid = sheet((0, 0), (4, 2), 2.5, BLUE, 1)
    cloud = joined(lid, TABLE, FLOOR)
    assert is_room(top_down_picture(cloud, longest_px=400))
    assert (top_down_picture(cloud, longest_px=400, cut=0.0) == BLUE).all(axis=2).any()


def test_low_ceilings_are_removed_because_they_face_down() -> None:
    low = sheet((0, 0), (4, 2), 1.5, BLUE, -1)
    assert is_room(top_down_picture(joined(CEILING, low, TABLE, FLOOR), longest_px=400, cut=0.0))


def test_a_flat_map_is_not_cut_away() -> None:
    picture = top_down_picture(FLOOR, longest_px=200)
    assert (picture == RED).all(axis=2).sum() > 0.95 * 200 * 100


def test_a_map_seen_only_from_below_is_still_shown() -> None:
    picture = top_down_picture(CEILING, longest_px=200)
    assert (picture == BLUE).all(axis=2).sum() > 0.95 * 200 * 100


@pytest.mark.parametrize(
    ("up", "to_map"),
    [
        # Columns: where the picture's right, ahead and up point to in the map.
        ((0, 0, 3), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ((0, -1, 0), [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
        ((0, 1, 0), [[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
        ((1, 0, 0), [[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    ],
)
def test_up_may_be_any_direction(
    up: tuple[float, float, float], to_map: list[list[float]]
) -> None:
    R = np.array(to_map, np.float32)
    assert np.isclose(np.linalg.det(R), 1.0)
    assert is_room(top_down_picture(rotated(ROOM, R), longest_px=400, up=up))


def test_the_bar_is_as_long_as_it_says() -> None:
    # 40 % of 4 m hold a bar of 1 m, 100 pixels to scale.
    picture = top_down_picture(FLOOR, longest_px=400)
    bar = (picture[-FOOTER // 2] < 100).all(axis=1)[: MARGIN + 106]
    first, last = np.flatnonzero(bar)[[0, -1]]
    assert abs((last - first) - 100) <= 3


def test_stray_surfels_do_not_shrink_the_picture() -> None:
    far = sheet((500, 500), (500.02, 500.02), 50.0, GREEN, 1)
    picture = top_down_picture(joined(ROOM, far), longest_px=400)
    assert picture.shape[1] == 400 + 2 * MARGIN
    assert is_room(picture)


def test_one_surfel_and_values_that_are_not_finite() -> None:
    one = sheet((0, 0), (0.01, 0.01), 0.0, RED, 1)
    assert (top_down_picture(one, 64) == RED).all(axis=2).any()
    broken = sheet((0, 0), (0.01, 0.01), np.nan, RED, 1)
    assert is_room(top_down_picture(joined(ROOM, broken), longest_px=400))
    with pytest.raises(MapError, match="no surfels"):
        top_down_picture(broken)


def test_arguments_out_of_range_are_refused() -> None:
    nothing = SurfelCloud(
        FLOOR.positions[:0], FLOOR.normals[:0], FLOOR.colors[:0], FLOOR.confidence[:0]
    )
    with pytest.raises(MapError, match="got no surfels, expected at least one"):
        top_down_picture(nothing)
    with pytest.raises(MapError, match="longest_px"):
        top_down_picture(FLOOR, longest_px=0)
    for cut in (1.0, -0.1, float("nan")):
        with pytest.raises(MapError, match="cut of a picture"):
            top_down_picture(FLOOR, cut=cut)
    for up in ((0, 0, 0), (np.nan, 0, 1), (1, 0)):
        with pytest.raises(MapError, match="expected three finite numbers"):
            top_down_picture(FLOOR, up=up)  # type: ignore[arg-type]


def test_the_file_is_the_picture(tmp_path: Path) -> None:
    picture = top_down_picture(ROOM, longest_px=64)
    path = write_png(tmp_path / "plan.png", picture)
    with Image.open(path) as read:
        assert np.array_equal(np.array(read), picture)
