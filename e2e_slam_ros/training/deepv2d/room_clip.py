"""Rendered clips of one room as one file of plain arrays."""

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
from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig

# Changes whenever the same configuration would give other pictures.
_RECIPE = "clips 1"
# What does not change the pictures of a room.
_SELECTION = ("rooms", "first_seed", "cache")
# What zipfile and NumPy raise on damaged bytes.
_DAMAGED = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, AttributeError, TypeError, MemoryError,
    tokenize.TokenError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class RoomClip:
    """N frames of a room, as stored.

    Attributes:
        image: (N, H, W, 3) uint8, RGB.
        depth: (N, H, W) uint16, millimetres.
        T_map_camera: (N, 4, 4) float64.
        intrinsics: (3, 3) float64.
        moving: (N, H, W) bool, the pixel shows something that moves in the room.

    >>> image, depth = np.zeros((2, 6, 8, 3), np.uint8), np.full((2, 6, 8), 2000, np.uint16)
    >>> poses = np.tile(np.eye(4), (2, 1, 1))
    >>> RoomClip(image, depth, poses, np.eye(3), depth > 9000).moving.any()
    np.False_
    """

    image: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.uint16]
    T_map_camera: npt.NDArray[np.float64]
    intrinsics: npt.NDArray[np.float64]
    moving: npt.NDArray[np.bool_]


def clip_path(folder: Path, config: ClipConfig, seed: int) -> Path:
    """Return where a room's clips are kept: those of other configurations have other names."""
    return folder / f"clips_{_fingerprint(config)}_{seed}.npz"


def write_clips(path: Path, config: ClipConfig, seed: int, clips: list[RoomClip]) -> None:
    """Write a room's clips, all of them or nothing.

    Raises:
        DataError: the folder cannot be written, the disk is full.
    """
    arrays: dict[str, npt.NDArray[np.generic]] = {"key": _key(config, seed)}
    for index, clip in enumerate(clips):
        for item in fields(clip):
            arrays[f"{item.name}_{index}"] = getattr(clip, item.name)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes_atomic(path, buffer.getvalue())


def read_clip(path: Path, config: ClipConfig, seed: int, index: int) -> RoomClip:
    """Return one clip of a room; only its part of the file is read.

    Raises:
        TrainingError: missing, damaged, or of another configuration or seed.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if not np.array_equal(arrays["key"], _key(config, seed)):
                raise ValueError("clips of another configuration")
            clip = RoomClip(*(arrays[f"{item.name}_{index}"] for item in fields(RoomClip)))
        _check_shapes(clip, config)
    except _DAMAGED as problem:
        raise TrainingError.from_parts(
            f"clips {path}",
            str(problem) or type(problem).__name__,
            "a room rendered with this configuration",
            "delete the file; it is rendered again when it is missing",
        ) from problem
    return clip


def is_complete(path: Path, config: ClipConfig, seed: int) -> bool:
    """Return whether a file looks like that room; its pictures are checked when they are read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            wanted = {f"image_{index}" for index in range(config.clips_per_room)}
            same = np.array_equal(arrays["key"], _key(config, seed))
            return bool(same) and wanted <= set(arrays.files)
    except _DAMAGED:
        return False


def _fingerprint(config: ClipConfig) -> str:
    told = {key: value for key, value in asdict(config).items() if key not in _SELECTION}
    return hashlib.sha256(f"{_RECIPE} {sorted(told.items())}".encode()).hexdigest()[:12]


def _key(config: ClipConfig, seed: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(f"{_fingerprint(config)} {seed}".encode(), dtype=np.uint8)


def _check_shapes(clip: RoomClip, config: ClipConfig) -> None:
    size = (config.frames, config.height, config.width)
    right = (
        clip.image.shape == (*size, 3)
        and clip.image.dtype == np.uint8
        and clip.depth.shape == size
        and clip.depth.dtype == np.uint16
        and clip.moving.shape == size
        and clip.T_map_camera.shape == (config.frames, 4, 4)
        and clip.intrinsics.shape == (3, 3)
        and bool(np.isfinite(clip.T_map_camera).all())
    )
    if not right:
        raise ValueError(f"arrays {clip.image.shape} {clip.depth.shape}")
