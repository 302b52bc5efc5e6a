"""The 2-D grid: walls occupied, what was seen to be empty free, the rest unknown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config, GridConfig
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.mapping import occupancy_grid as grids
from e2e_slam_ros.mapping.floor import find_floor
from e2e_slam_ros.mapping.occupancy_grid import (
    FREE,
    OCCUPIED,
    UNKNOWN,
    NavigationGrid,
    occupancy_grid,
)

FLOOR_M = -1.1
CAMERA = torch.tensor([[2.0, 1.5, 0.0]])


def patch(corner: tuple, a: tuple, b: tuple, normal: tuple) -> tuple[torch.Tensor, torch.Tensor]:
    """A rectangle with a surfel every 2 cm: corner and two sides, metres."""
    corner, a, b = (torch.tensor(side, dtype=torch.float32) for side in (corner, a, b))
    s = torch.arange(0.0, float(a.norm()), 0.02) / a.norm()
    t = torch.arange(0.0, float(b.norm()), 0.02) / b.norm()
    points = corner + s[:, None, None] * a + t[None, :, None] * b
    points = points.reshape(-1, 3)
    return points, torch.tensor([normal], dtype=torch.float32).expand(len(points), 3)


def room() -> tuple[torch.Tensor, torch.Tensor]:
    """4 x 3 m with a table of 0.8 m and a ceiling; a door of 1 m in the wall x = 4."""
    up, down = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)
    parts = [
        patch((0, 0, FLOOR_M), (4, 0, 0), (0, 3, 0), up),
        patch((0, 0, FLOOR_M + 2.5), (4, 0, 0), (0, 3, 0), down),
        patch((1, 1, FLOOR_M + 0.8), (0.6, 0, 0), (0, 0.6, 0), up),
        patch((0, 0, FLOOR_M), (0, 3, 0), (0, 0, 2.5), (1, 0, 0)),
        patch((0, 0, FLOOR_M), (4, 0, 0), (0, 0, 2.5), (0, 1, 0)),
        patch((0, 3, FLOOR_M), (4, 0, 0), (0, 0, 2.5), (0, -1, 0)),
        patch((4, 0, FLOOR_M), (0, 1, 0), (0, 0, 2.5), (-1, 0, 0)),
        patch((4, 2, FLOOR_M), (0, 1, 0), (0, 0, 2.5), (-1, 0, 0)),
        # What is seen through the door, at the height of the camera only.
        patch((6, 1, -0.1), (0, 1, 0), (0, 0, 0.3), (-1, 0, 0)),
    ]
    return torch.cat([p for p, _ in parts]), torch.cat([n for _, n in parts])


def seen(points: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(points), dtype=torch.int32)


def made(config: GridConfig, turn: torch.Tensor | None = None) -> NavigationGrid:
    turn = torch.eye(3) if turn is None else turn
    points, normals = room()
    grid = occupancy_grid(points @ turn.T, normals @ turn.T, seen(points), CAMERA @ turn.T, config)
    assert grid is not None
    return grid


def test_a_room_with_a_table_and_a_door() -> None:
    grid = made(GridConfig())
    assert grid.resolution_m == 0.05 and grid.floor_m == pytest.approx(FLOOR_M, abs=0.01)
    for x, y in ((0.01, 1.5), (2.0, 0.01), (2.0, 3.01), (4.01, 0.5), (1.3, 1.3), (6.01, 1.5)):
        assert grid.at(x, y) == OCCUPIED, (x, y)
    for x, y in ((2.0, 1.5), (3.0, 0.5), (0.5, 2.5), (4.02, 1.5), (5.0, 1.5)):
        assert grid.at(x, y) == FREE, (x, y)
    for x, y in ((5.0, 0.2), (5.0, 2.9), (-0.2, 1.5), (6.3, 1.5), (50.0, 0.0)):
        assert grid.at(x, y) == UNKNOWN, (x, y)
    assert set(np.unique(grid.cells)) == {UNKNOWN, FREE, OCCUPIED}


def test_the_height_band_decides_what_is_an_obstacle() -> None:
    assert made(GridConfig(high_m=0.5)).at(1.3, 1.3) == FREE, "a low robot drives under the table"
    assert made(GridConfig(low_m=0.9)).at(1.3, 1.3) == FREE, "or is higher than it"
    assert made(GridConfig(high_m=3.0)).at(2.0, 1.5) == OCCUPIED, "the ceiling is in the band"


@pytest.mark.parametrize("tilt_deg", [8.0, -20.0, 32.0])
def test_a_map_that_is_tilted_is_judged_by_its_floor(tilt_deg: float) -> None:
    angle = torch.deg2rad(torch.tensor(tilt_deg))
    c, s = float(angle.cos()), float(angle.sin())
    turn = torch.tensor([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
    points, normals = room()
    floor = find_floor(points @ turn.T, normals @ turn.T)
    assert float(floor.up @ turn[:, 2]) > np.cos(np.deg2rad(0.5))
    grid = made(GridConfig(), turn)
    places = torch.tensor([[3.0, 0.5, FLOOR_M], [1.3, 1.3, FLOOR_M], [0.0, 1.5, FLOOR_M]])
    free, table, wall = (places @ turn.T).tolist()
    assert grid.at(*free[:2]) == FREE and grid.at(*table[:2]) == OCCUPIED
    assert OCCUPIED in (grid.at(wall[0] + 0.01, wall[1]), grid.at(wall[0] - 0.04, wall[1]))


def test_a_fixed_floor_and_a_coarse_grid() -> None:
    grid = made(GridConfig(floor="fixed", floor_m=FLOOR_M, resolution_m=0.25))
    assert grid.resolution_m == 0.25 and grid.floor_m == pytest.approx(FLOOR_M)
    assert grid.at(1.3, 1.3) == OCCUPIED and grid.at(3.0, 0.6) == FREE


def test_without_known_cameras_the_floor_says_what_is_free() -> None:
    points, normals = room()
    nowhere = torch.full((1, 3), torch.nan)
    for keyframe, centres in ((seen(points) - 2, CAMERA), (seen(points), nowhere)):
        grid = occupancy_grid(points, normals, keyframe, centres, GridConfig())
        assert grid is not None
        assert grid.at(3.0, 0.5) == FREE and grid.at(5.0, 1.5) == UNKNOWN


def test_what_is_far_is_not_cleared_and_bad_values_are_left_out() -> None:
    points, normals = room()
    points = torch.cat([points, torch.full((3, 3), torch.nan)])
    normals = torch.cat([normals, torch.zeros(3, 3)])
    config = GridConfig(range_m=2.5)
    grid = occupancy_grid(points, normals, seen(points), CAMERA, config)
    assert grid is not None and grid.at(4.3, 1.5) == FREE and grid.at(5.0, 1.5) == UNKNOWN


def test_a_huge_map_gets_larger_cells_and_one_stray_point_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grids, "_MOST_CELLS", 5000)
    assert made(GridConfig()).resolution_m == 0.1
    points, normals = room()
    stray = torch.cat([points, torch.tensor([[40_000.0, 0.0, 0.0]])])
    normals = torch.cat([normals, torch.tensor([[1.0, 0.0, 0.0]])])
    grid = occupancy_grid(stray, normals, seen(stray), CAMERA, GridConfig())
    assert grid is not None and grid.cells.size < 10_000


def test_no_points_make_no_grid() -> None:
    none = torch.zeros(0, 3)
    assert occupancy_grid(none, none, seen(none), CAMERA, GridConfig()) is None


def test_a_band_without_height_is_refused() -> None:
    with pytest.raises(ConfigError, match="grid.low_m"):
        Config().with_values({"grid.low_m": 2.0})
