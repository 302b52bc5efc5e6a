"""Surfel checkpoints: what is saved comes back, and what is wrong is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.mapping.checkpoint_hash import content_hash
from e2e_slam_ros.mapping.map_checkpoint import load_map, read_checkpoint, save_map
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.mapping.surfel_store import UNKNOWN_KEYFRAME
from synthetic import estimate, keyframe, pose

CPU = torch.device("cpu")
# Two keyframes, 35 and 5 surfels, from before a surfel knew its keyframe.
VERSION_1 = Path(__file__).parent / "files" / "version_1.safetensors"


def fuse(target: SurfelMap, x: float, index: int) -> None:
    seen = keyframe(pose(x=x), index, grey=0.2 + 0.1 * index)
    assert seen.sensor_depth is not None
    target.fuse(seen, estimate(seen.sensor_depth))


def wall_map(keyframes: int = 2, **values: int) -> SurfelMap:
    target = SurfelMap(dataclasses.replace(MapConfig(), **values), CPU)
    for index in range(keyframes):
        fuse(target, 0.2 * index, index)
    return target


def rows(target: SurfelMap) -> torch.Tensor:
    """All surfels as (N, 14) in an order of their own: slots may differ, keyframes do."""
    surfels = dataclasses.replace(target.surfels, keyframe=torch.zeros(len(target)))
    columns = [c.double().reshape(len(target), -1) for c in surfels.columns()]
    return torch.unique(torch.cat(columns, dim=1), dim=0)


def edit(path: Path, **metadata: str) -> None:
    """Rewrite the file with other metadata, and the hash that belongs to them."""
    known = {"format": "e2e_slam_ros surfel map", "version": "3", "keyframes": "2", **metadata}
    tensors = load_file(path)
    save_file(tensors, path, known | {"sha256": content_hash(tensors, known)})


def replace(path: Path, **columns: torch.Tensor) -> None:
    """Rewrite the file with other columns."""
    save_file({**load_file(path), **columns}, path)
    edit(path)


def written(path: Path, surfel_map: SurfelMap) -> Path:
    return save_map(path, surfel_map.surfels, surfel_map.keyframes)


def test_a_loaded_map_is_the_saved_one(tmp_path: Path) -> None:
    saved = wall_map()
    path = written(tmp_path / "deep" / "map.safetensors", saved)
    loaded = wall_map(keyframes=1)
    assert load_map(path, loaded) == path
    assert (len(loaded), loaded.keyframes) == (len(saved), 2)
    assert torch.equal(rows(loaded), rows(saved))


def test_reading_needs_no_map(tmp_path: Path) -> None:
    saved, other = wall_map(), wall_map(keyframes=1)
    path = written(tmp_path / "map.safetensors", saved)
    read = read_checkpoint(path, len(saved))
    assert (len(read.surfels), read.fusions) == (len(saved), 2)
    assert read.surfels.positions.device == CPU and read.learned == read.tracking == {}
    other.restore(read.surfels, read.fusions)
    assert torch.equal(rows(other), rows(saved))
    with pytest.raises(MapError, match="max_surfels"):
        read_checkpoint(path, len(saved) - 1)


def test_mapping_goes_on(tmp_path: Path) -> None:
    saved, loaded = wall_map(), wall_map(keyframes=0)
    load_map(written(tmp_path / "map.safetensors", saved), loaded)
    for target in (saved, loaded):
        fuse(target, 0.3, 2)
    assert loaded.keyframes == 3 and len(loaded) == len(saved)
    assert int(loaded.surfels.updated.max()) == 2
    assert torch.allclose(rows(loaded), rows(saved), atol=1e-6)


def test_the_file_says_which_keyframe_created_a_surfel(tmp_path: Path) -> None:
    saved = SurfelMap(MapConfig(), CPU)
    for number, index in enumerate((4, 7)):
        fuse(saved, 0.2 * number, index)
    path = written(tmp_path / "map.safetensors", saved)
    surfels = read_checkpoint(path, len(saved)).surfels
    assert torch.equal(surfels.keyframe, saved.surfels.keyframe)
    assert surfels.keyframe.unique().tolist() == [4, 7]
    assert surfels.created.unique().tolist() == [0, 1]


def test_keyframes_of_an_earlier_run_are_not_those_of_this_one(tmp_path: Path) -> None:
    loaded = wall_map(keyframes=0)
    load_map(written(tmp_path / "map.safetensors", wall_map()), loaded)
    assert loaded.surfels.keyframe.unique().tolist() == [-3, -2]
    before = loaded.state_hash()
    assert loaded.move({0: pose(x=1.0), 1: pose(x=1.0)}) == 0 and loaded.state_hash() == before
    # A second time through a file they stay what they are.
    again = wall_map(keyframes=0)
    load_map(written(tmp_path / "map.safetensors", loaded), again)
    assert again.surfels.keyframe.unique().tolist() == [-3, -2]


def test_files_of_version_1_are_still_read() -> None:
    read = read_checkpoint(VERSION_1, 1000)
    surfels = read.surfels
    assert (len(surfels), read.fusions, read.tracking) == (40, 2, {})
    assert surfels.created.bincount().tolist() == [35, 5]
    assert surfels.updated.bincount().tolist() == [5, 35]
    assert (surfels.keyframe == UNKNOWN_KEYFRAME).all()
    assert (surfels.positions[:, 2] - 2.0).abs().max() < 1e-5
    loaded = wall_map()
    load_map(VERSION_1, loaded)
    assert len(loaded) == 40 and loaded.move({0: pose(x=1.0)}) == 0
    fuse(loaded, 0.0, 2)
    assert loaded.surfels.created.max() == 2


def test_a_file_of_version_1_has_its_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "map.safetensors"
    columns = load_file(VERSION_1)
    columns["created"] = columns.pop("first_seen")
    save_file(columns, path)
    edit(path, version="1")
    with pytest.raises(MapError, match="columns .*created.*, expected .*first_seen, last_seen"):
        load_map(path, wall_map(keyframes=0))


def test_an_empty_map_comes_back_empty(tmp_path: Path) -> None:
    path = written(tmp_path / "map.safetensors", wall_map(keyframes=0))
    loaded = wall_map()
    load_map(path, loaded)
    assert (len(loaded), loaded.keyframes) == (0, 0)
    fuse(loaded, 0.0, 0)
    assert len(loaded) > 0


def test_damaged_and_foreign_files_leave_the_map_unchanged(tmp_path: Path) -> None:
    path = written(tmp_path / "map.safetensors", wall_map())
    whole = path.read_bytes()
    loaded = wall_map(keyframes=1)
    before = loaded.state_hash()

    def refused(reason: str) -> None:
        with pytest.raises(MapError, match=reason):
            load_map(path, loaded)
        assert (loaded.state_hash(), loaded.keyframes) == (before, 1)

    for damaged, reason in (
        (whole[:-1], "a part of a file .* the file was cut off or damaged"),
        (whole[:200], "a part of a file"),
        (whole + b"more", "a part of a file"),
        (b"", "another kind of file, expected a surfel checkpoint"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "another kind of file"),
        (b"ply\nformat ascii 1.0\nend_header\n", "another kind of file"),
    ):
        path.write_bytes(damaged)
        refused(reason)
    save_file({"weight": torch.zeros(3)}, path)
    refused("another kind of file")
    path.unlink()
    refused("No such file")
    path.mkdir()
    refused("Is a directory")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"version": "4"}, "got version '4', expected version 1 to 3; save the map again"),
        ({"version": ""}, "got version ''"),
        ({"format": "surfels"}, "another kind of file"),
        ({"keyframes": "-1"}, "got '-1' keyframes"),
        ({"keyframes": "many"}, "got 'many' keyframes"),
        ({"keyframes": "9" * 30}, "keyframes, expected a whole number"),
        ({"keyframes": "0"}, "updated out of range, expected at most the 0 fusions"),
    ],
)
def test_other_metadata_is_refused(tmp_path: Path, metadata: dict[str, str], reason: str) -> None:
    path = written(tmp_path / "map.safetensors", wall_map())
    edit(path, **metadata)
    with pytest.raises(MapError, match=reason):
        load_map(path, wall_map(keyframes=0))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("positions", torch.nan, "NaN or infinite values in positions"),
        ("radius", torch.inf, "NaN or infinite values in radius"),
        ("positions", 1e9, "1 values of positions out of range, expected within 100000 m"),
        ("normals", 5.0, "of normals out of range, expected unit length"),
        ("colors", 255.0, "of colors out of range, expected between 0 and 1"),
        ("confidence", 0.0, "1 values of confidence out of range, expected above 0"),
        ("radius", -1.0, "of radius out of range"),
        ("created", 7, "of created out of range, expected between 0 and updated"),
        ("updated", 9, "of updated out of range, expected at most the 2 fusions"),
    ],
)
def test_values_no_map_has_are_refused(
    tmp_path: Path, name: str, value: float, reason: str
) -> None:
    path = written(tmp_path / "map.safetensors", wall_map())
    column = load_file(path)[name]
    column.view(-1)[-1] = value
    replace(path, **{name: column})
    loaded = wall_map(keyframes=1)
    before = loaded.state_hash()
    with pytest.raises(MapError, match=reason):
        load_map(path, loaded)
    assert loaded.state_hash() == before


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "map.safetensors", wall_map())
    whole = path.read_bytes()
    count = len(wall_map())
    for columns, reason in (
        ({"positions": torch.zeros(count, 2)}, rf"shape \({count}, 2\) of positions"),
        ({"positions": torch.zeros(())}, r"shape \(\) of positions"),
        ({"radius": torch.ones(count - 1)}, rf"shape \({count - 1},\) of radius"),
        ({"radius": torch.ones(count, dtype=torch.float64)}, "torch.float64 in radius"),
        ({"updated": torch.ones(count)}, "torch.float32 in updated, expected torch.int32"),
        ({"weight": torch.ones(count)}, "the columns colors, .*, expected positions, normals"),
    ):
        path.write_bytes(whole)
        replace(path, **columns)
        with pytest.raises(MapError, match=reason):
            load_map(path, wall_map(keyframes=0))


def test_more_surfels_than_fit_are_refused(tmp_path: Path) -> None:
    saved = wall_map()
    path = written(tmp_path / "map.safetensors", saved)
    small = wall_map(keyframes=0, max_surfels=1000)
    with pytest.raises(
        MapError,
        match=f"got {len(saved)} surfels, expected at most map.max_surfels = 1000; "
        f"raise map.max_surfels to {len(saved)}",
    ):
        load_map(path, small)
    assert len(small) == 0


def test_files_of_version_2_had_no_hash(tmp_path: Path) -> None:
    path, saved = tmp_path / "map.safetensors", wall_map()
    written(path, saved)
    old = {"format": "e2e_slam_ros surfel map", "version": "2", "keyframes": "2"}
    save_file(load_file(path), path, old)
    loaded = wall_map(keyframes=0)
    load_map(path, loaded)
    assert torch.equal(rows(loaded), rows(saved))
    # With a hash it is checked, whatever the version says.
    save_file(load_file(path), path, old | {"sha256": "0" * 64})
    with pytest.raises(MapError, match="hash"):
        load_map(path, loaded)
    # From version 3 on there must be one.
    save_file(load_file(path), path, old | {"version": "3"})
    with pytest.raises(MapError, match="hash"):
        load_map(path, loaded)


def test_what_goes_with_the_map_comes_back(tmp_path: Path) -> None:
    saved = wall_map()
    learned = {"weight.a": torch.arange(3.0), "scale": torch.tensor(2.0)}
    tracking = {"images": torch.arange(7, dtype=torch.uint8), "empty": torch.zeros(0, 3)}
    path = save_map(tmp_path / "m.safetensors", saved.surfels, 2, learned, tracking)
    read = read_checkpoint(path, 10**6)
    for before, after in ((learned, read.learned), (tracking, read.tracking)):
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """Of a file without a hash, three in four were loaded."""
    saved = wall_map()
    learned = {"weight.a": torch.arange(30.0)}
    tracking = {"images": torch.arange(200, dtype=torch.uint8)}
    path = save_map(tmp_path / "m.safetensors", saved.surfels, 2, learned, tracking)
    whole = path.read_bytes()
    loaded = wall_map(keyframes=1)
    before = loaded.state_hash()
    generator = torch.Generator().manual_seed(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = torch.cat(
        [
            torch.randint(0, header * 8, (700,), generator=generator),
            torch.randint(header * 8, len(whole) * 8, (800,), generator=generator),
        ]
    )
    for place in places.tolist():
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(MapError, match="expected .*; "):
            load_map(path, loaded)
    assert (loaded.state_hash(), loaded.keyframes) == (before, 1)
