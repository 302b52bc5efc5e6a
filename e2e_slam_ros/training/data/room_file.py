"""One rendered room as one file of plain arrays."""

from __future__ import annotations

import hashlib
import io
import struct
import tokenize
import zipfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.atomic import write_bytes_atomic
from e2e_slam_ros.training.data.config import ProceduralConfig

# Changes whenever the same configuration would give other pictures.
_RECIPE = "rooms 1"
# What does not change the picture of a room.
_SELECTION = ("weight", "rooms", "first_seed", "cache")
_STORED_AS = {"T_map_camera": "pose"}
DEPTH_UNIT_M = 0.001
NEAREST_M, FARTHEST_M = 0.1, 65.0
# What zipfile and NumPy raise on damaged bytes: flags of encryption or compression that are not
# there (RuntimeError), headers of arrays that are no Python literal (TokenError), a plain array
# instead of an archive (AttributeError, TypeError).
DAMAGED = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, AttributeError, TypeError, MemoryError,
    tokenize.TokenError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class RoomPair:
    """Two views of a room, as stored.

    Attributes:
        image: (2, H, W, 3) uint8, RGB.
        depth: (2, H, W) uint16, millimetres.
        T_map_camera: (2, 4, 4) float64.
        intrinsics: (3, 3) float64.

    >>> image, depth = np.zeros((2, 6, 8, 3), np.uint8), np.full((2, 6, 8), 2000, np.uint16)
    >>> pair = RoomPair(image, depth, np.tile(np.eye(4), (2, 1, 1)), np.eye(3))
    >>> float(pair.depth[0, 0, 0]) * DEPTH_UNIT_M
    2.0
    """

    image: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.uint16]
    T_map_camera: npt.NDArray[np.float64]
    intrinsics: npt.NDArray[np.float64]


def fingerprint(config: ProceduralConfig) -> str:
    """Return 12 hexadecimal digits that tell configurations of different pictures apart."""
    told = {key: value for key, value in asdict(config).items() if key not in _SELECTION}
    text = f"{_RECIPE} {sorted(told.items())}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def room_path(folder: Path, config: ProceduralConfig, seed: int) -> Path:
    """Return where a room is kept: rooms of other configurations have other names."""
    return folder / f"room_{fingerprint(config)}_{seed}.npz"


def write_room(path: Path, config: ProceduralConfig, seed: int, pairs: list[RoomPair]) -> None:
    """Write a room, all of it or nothing.

    Raises:
        DataError: the folder cannot be written, the disk is full.
    """
    arrays: dict[str, npt.NDArray[np.generic]] = {"key": _key(config, seed)}
    for index, pair in enumerate(pairs):
        for item in fields(pair):
            arrays[f"{_STORED_AS.get(item.name, item.name)}_{index}"] = getattr(pair, item.name)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes_atomic(path, buffer.getvalue())


def read_pair(path: Path, config: ProceduralConfig, seed: int, index: int) -> RoomPair:
    """Return one pair of a room; only its part of the file is read.

    Raises:
        TrainingError: missing, damaged, or of another configuration or seed.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if not np.array_equal(arrays["key"], _key(config, seed)):
                raise ValueError("a room of another configuration")
            names = (_STORED_AS.get(item.name, item.name) for item in fields(RoomPair))
            pair = RoomPair(*(arrays[f"{name}_{index}"] for name in names))
        _check_shapes(pair, config)
    except DAMAGED as problem:
        raise TrainingError.from_parts(
            f"room {path}",
            str(problem) or type(problem).__name__,
            "a room rendered with this configuration",
            "delete the file; it is rendered again when it is missing",
        ) from problem
    return pair


def is_complete(path: Path, config: ProceduralConfig, seed: int) -> bool:
    """Return whether a file looks like that room; its pictures are checked when they are read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            wanted = {f"image_{index}" for index in range(config.pairs_per_room)}
            same = np.array_equal(arrays["key"], _key(config, seed))
            return bool(same) and wanted <= set(arrays.files)
    except DAMAGED:
        return False


def _key(config: ProceduralConfig, seed: int) -> npt.NDArray[np.uint8]:
    # Bytes, because NumPy keeps texts as wide characters of the longest one's length.
    return np.frombuffer(f"{fingerprint(config)} {seed}".encode(), dtype=np.uint8)


def _check_shapes(pair: RoomPair, config: ProceduralConfig) -> None:
    size = (2, config.height, config.width)
    right = (
        pair.image.shape == (*size, 3)
        and pair.image.dtype == np.uint8
        and pair.depth.shape == size
        and pair.depth.dtype == np.uint16
        and pair.T_map_camera.shape == (2, 4, 4)
        and pair.intrinsics.shape == (3, 3)
        and bool(np.isfinite(pair.T_map_camera).all())
    )
    if not right:
        raise ValueError(f"arrays {pair.image.shape} {pair.depth.shape}")
