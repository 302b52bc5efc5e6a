"""Pictures of the map."""

from __future__ import annotations

import numpy as np

from e2e_slam_ros.evaluation.run.map_render import MapCamera, render, standard_views, up_axis
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud


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
    view = MapCamera("front", np.eye(4), 50.0, False, True, 41, 31)
    points = cloud([[0, 0, 4], [0, 0, 2]], [[255, 0, 0], [0, 255, 0]])
    picture = render(points, view)
    assert picture[15, 20].tolist() == [0, 255, 0, 255]
    assert picture[0, 0, 3] == 0


def test_a_render_of_nothing_is_empty_and_has_no_views() -> None:
    nothing = cloud([], [])
    assert not render(nothing, MapCamera("", np.eye(4), 50.0, True, True, 16, 12)).any()
    assert standard_views(nothing, np.eye(4)[None]) == []


def test_up_is_where_the_images_tops_point() -> None:
    upright = np.eye(4)[None]
    assert up_axis(upright).tolist() == [0, -1, 0]
    ros = np.eye(4)
    ros[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]  # optical axes in a z-up map
    assert up_axis(ros[None]).tolist() == [0, 0, 1]
    assert up_axis(np.zeros((0, 4, 4))).tolist() == [0, 0, 1]


def test_an_orthographic_render_shows_far_things_as_large_as_near_ones() -> None:
    view = MapCamera("plan", np.eye(4), 10.0, True, True, 61, 41)
    points = cloud([[-1, 0, -3], [1, 0, 30]], [[255, 0, 0], [0, 255, 0]])
    picture = render(points, view)
    assert picture[20, 20, :3].tolist() == [255, 0, 0]
    assert picture[20, 40, :3].tolist() == [0, 255, 0]
    assert (picture[..., 3] > 0).sum() == 2


def test_backs_are_culled_and_the_path_is_drawn_on_top() -> None:
    turned = cloud([[0, 0, 2]], [[255, 0, 0]])
    turned.normals[:] *= -1
    view = MapCamera("front", np.eye(4), 50.0, False, True, 41, 31)
    assert not render(turned, view).any()
    front = cloud([[0, 0, 2]], [[0, 255, 0]])
    path = np.array([[-0.4, 0.0, 3.0], [0.4, 0.0, 3.0]])
    assert render(front, view, path)[15, 20, :3].tolist() == [255, 64, 129]
