"""The index map and projective association."""

from __future__ import annotations

import torch

from e2e_slam_ros.mapping.association import Projection, index_map, project_surfels
from e2e_slam_ros.mapping.surfel_store import Surfels
from synthetic import CAMERA, pose


def surfels(positions: list[list[float]], confidence: list[float]) -> Surfels:
    made = Surfels.empty(len(positions), torch.device("cpu"))
    made.positions[:] = torch.tensor(positions)
    made.confidence[:] = torch.tensor(confidence)
    return made


def project(made: Surfels) -> Projection:
    slots = torch.arange(len(made))
    return project_surfels(slots, made.positions, made.confidence, CAMERA, pose())


def cell(made: Surfels) -> int:
    cells = index_map(project(made), CAMERA, 0.05)
    filled = cells[cells >= 0]
    assert len(filled) == 1
    return int(filled[0])


def test_projection_rounds_to_the_nearest_pixel_and_drops_the_rest() -> None:
    points = [[0.0, 0.0, 2.0], [0.0, 0.0, -2.0], [50.0, 0.0, 2.0], [-1.05, -0.78, 2.0]]
    projection = project(surfels(points, [1.0] * 4))
    # (31.5, 23.5) rounds to even: column 32, row 24; the last point is pixel (0, 0).
    assert projection.slot.tolist() == [0, 3]
    assert projection.pixel.tolist() == [24 * 64 + 32, 0]
    assert projection.depth.tolist() == [2.0, 2.0]


def test_free_slots_are_not_projected() -> None:
    assert project(surfels([[0.0, 0.0, 2.0]] * 2, [0.0, 1.0])).slot.tolist() == [1]


def test_the_nearest_surface_wins() -> None:
    assert cell(surfels([[0.0, 0.0, 3.0], [0.0, 0.0, 2.0]], [90.0, 0.1])) == 1


def test_within_a_surface_the_confident_then_the_first_slot_wins() -> None:
    assert cell(surfels([[0.01, 0.01, 2.01], [0.01, 0.01, 2.02]], [1.0, 5.0])) == 1
    assert cell(surfels([[0.01, 0.01, 2.01], [0.01, 0.01, 2.02]], [1.0, 1.0])) == 0


def test_the_index_map_does_not_depend_on_the_order_of_its_input() -> None:
    generator = torch.Generator().manual_seed(1)
    count = 5000
    made = surfels([[0.0, 0.0, 0.0]] * count, [0.0] * count)
    made.positions[:] = torch.rand((count, 3), generator=generator) + torch.tensor([-0.5, -0.5, 1])
    made.confidence[:] = torch.rand(count, generator=generator) * 10
    seen = project(made)
    order = torch.randperm(len(seen.slot), generator=generator)
    other = Projection(
        seen.slot[order], seen.pixel[order], seen.depth[order], seen.confidence[order]
    )
    assert torch.equal(index_map(seen, CAMERA, 0.05), index_map(other, CAMERA, 0.05))


def test_an_empty_image_has_no_surfels() -> None:
    made = surfels([[0.0, 0.0, -1.0]], [1.0])
    assert (index_map(project(made), CAMERA, 0.05) == -1).all()
