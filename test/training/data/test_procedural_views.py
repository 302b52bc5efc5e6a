"""Rendered rooms: rendered once, read back, and never mistaken for others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import DataError, TrainingError
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.simulation.furniture_library import FurnitureLibrary
from e2e_slam_ros.training.data.config import ProceduralConfig
from e2e_slam_ros.training.data.procedural_views import ProceduralViews
from e2e_slam_ros.training.data.rendered_file import fingerprint

from ...simulation.furniture_models import library


@pytest.fixture
def config(tmp_path: Path) -> ProceduralConfig:
    return ProceduralConfig(
        rooms=2, pairs_per_room=2, width=64, height=48, texture_size=64, cache=str(tmp_path)
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_rooms_are_rendered_once(config: ProceduralConfig) -> None:
    views = ProceduralViews(config)
    assert len(views) == 4 and len(views.missing()) == 2
    assert views.render_missing() == 2
    assert views.render_missing() == 0
    more = ProceduralViews(replace(config, rooms=3))
    assert len(more.missing()) == 1


def test_the_second_view_shows_the_first_through_depth_and_motion(
    config: ProceduralConfig,
) -> None:
    views = ProceduralViews(replace(config, width=160, height=120, texture_size=64, rooms=1))
    for index in range(2):
        pair = views.pair(index, generator(index))
        assert pair.has_source and pair.has_pose and pair.has_depth
        warp = inverse_warp(
            pair.source[None].float(), pair.depth[None], pair.T_source_target[None],
            pair.intrinsics, pair.intrinsics,
        )  # fmt: skip
        warped = (warp.image - pair.image[None].float()).abs().mean(1, keepdim=True)[warp.valid]
        plain = (pair.source.float() - pair.image.float()).abs().mean()
        assert float(warp.valid.float().mean()) > 0.5
        assert float(warped.median()) < 0.5 * float(plain) + 2.0


def test_a_room_is_the_same_whenever_it_is_rendered(
    config: ProceduralConfig, tmp_path: Path
) -> None:
    here = ProceduralViews(config).pair(1, generator(3))
    other = replace(config, cache=str(tmp_path / "elsewhere"))
    there = ProceduralViews(other).pair(1, generator(3))
    assert torch.equal(here.image, there.image) and torch.equal(here.depth, there.depth)


def test_files_of_other_settings_or_damaged_ones_are_rendered_again(
    config: ProceduralConfig,
) -> None:
    views = ProceduralViews(config)
    views.render_missing()
    assert len(ProceduralViews(replace(config, fov_min_deg=50.0)).missing()) == 2
    files = sorted(p for p in views.folder.rglob("*") if p.is_file())
    files[0].write_bytes(files[0].read_bytes()[:100])
    assert len(views.missing()) == 1
    assert views.pair(0, generator()).image.shape == (3, 48, 64)
    assert views.missing() == []


def test_fields_of_view_the_wrong_way_round_are_refused(config: ProceduralConfig) -> None:
    with pytest.raises(TrainingError, match="fov_min_deg"):
        ProceduralViews(replace(config, fov_min_deg=80.0, fov_max_deg=50.0))


def test_rooms_take_furniture_from_an_archive(config: ProceduralConfig, tmp_path: Path) -> None:
    archive = tmp_path / "furniture.npz"
    library().save(archive)
    furnished = replace(
        config, furniture=str(archive), furnished_share=1.0, close_share=1.0, rooms=1
    )
    views = ProceduralViews(furnished)
    assert views.render_missing() == 1
    pair = views.pair(0, generator())
    assert pair.depth is not None
    assert 0.3 < float(pair.depth.median()) < 1.5
    assert ProceduralViews(replace(furnished, furnished_share=0.5)).missing()


def test_files_without_furniture_keep_their_names(config: ProceduralConfig) -> None:
    # Names of the first release: other ones would have every room rendered again.
    assert fingerprint(ProceduralConfig(), "rooms 1") == "5e992e884db4"
    other = replace(ProceduralConfig(), furnished_share=0.1, close_share=0.9)
    assert fingerprint(other, "rooms 1") == "5e992e884db4"


def test_files_with_furniture_are_named_by_what_the_archive_holds(tmp_path: Path) -> None:
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    library().save(first)
    second.write_bytes(first.read_bytes())
    names = [
        fingerprint(ProceduralConfig(furniture=path), "rooms 1")
        for path in ("", str(first), str(second))
    ]
    assert names[1] == names[2] != names[0]
    FurnitureLibrary.of([library()[0]]).save(second)
    assert fingerprint(ProceduralConfig(furniture=str(second)), "rooms 1") != names[1]


def test_a_missing_archive_of_furniture_is_refused(config: ProceduralConfig) -> None:
    with pytest.raises(DataError, match="build_furniture"):
        ProceduralViews(replace(config, furniture="/nowhere/furniture.npz")).missing()
