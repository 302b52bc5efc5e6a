"""Damaged room files are refused as such, wherever the damage is, and never read as pictures."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.data.config import ProceduralConfig
from e2e_slam_ros.training.data.room_file import ROOM_FILE, RoomPair

SEED = 3
CONFIG = ProceduralConfig(pairs_per_room=1, width=32, height=32)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    pair = RoomPair(
        draw.integers(0, 255, (2, 32, 32, 3), dtype=np.uint8),
        draw.integers(100, 9000, (2, 32, 32), dtype=np.uint16),
        np.tile(np.eye(4), (2, 1, 1)),
        np.eye(3),
    )
    path = ROOM_FILE.path(tmp_path, CONFIG, SEED)
    ROOM_FILE.write(path, CONFIG, SEED, [pair])
    return path


def test_a_room_is_read_as_written(room: Path) -> None:
    pair = ROOM_FILE.read(room, CONFIG, SEED, 0)
    assert pair.image.shape == (2, 32, 32, 3) and pair.depth.dtype == np.uint16
    assert ROOM_FILE.is_complete(room, CONFIG, SEED)
    assert not ROOM_FILE.is_complete(room, CONFIG, SEED + 1)
    with pytest.raises(TrainingError, match="another configuration"):
        ROOM_FILE.read(room, CONFIG, SEED + 1, 0)


@pytest.mark.filterwarnings("ignore")
def test_damage_is_refused_and_never_read_as_pictures(room: Path) -> None:
    good, whole = room.read_bytes(), ROOM_FILE.read(room, CONFIG, SEED, 0)
    # The archive's and the arrays' headers: what is between is guarded by a checksum alone.
    with zipfile.ZipFile(room) as archive:
        starts = [item.header_offset for item in archive.infolist()]
    spots = [at for start in starts for at in range(start, min(start + 220, len(good)))]
    spots += range(len(good) - 500, len(good))
    dice, refused = random.Random(0), 0
    for attempt in range(400):
        bad = bytearray(good)
        for _ in range(dice.choice((1, 4))):
            bad[dice.choice(spots)] = dice.randrange(256)
        room.write_bytes(bad[: dice.randrange(len(bad))] if attempt % 10 == 0 else bad)
        ROOM_FILE.is_complete(room, CONFIG, SEED)
        try:
            pair = ROOM_FILE.read(room, CONFIG, SEED, 0)
        except TrainingError:
            refused += 1
        else:
            assert np.array_equal(pair.image, whole.image)
            assert np.array_equal(pair.depth, whole.depth)
    assert refused > 50


def test_a_single_array_or_nothing_in_place_of_a_room_is_refused(room: Path) -> None:
    with room.open("wb") as stream:
        np.save(stream, np.zeros(3))
    assert not ROOM_FILE.is_complete(room, CONFIG, SEED)
    with pytest.raises(TrainingError, match="rendered with this configuration"):
        ROOM_FILE.read(room, CONFIG, SEED, 0)
    room.write_bytes(b"")
    assert not ROOM_FILE.is_complete(room, CONFIG, SEED)
