"""One rendered walk: images, exact depth and poses, and what other depth sources say of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.training.data.rendered_file import damage_refused, write_arrays

# Frames before a frame that motion stereo compares it with; the first ones have too few.
NEIGHBOURS = 4


@dataclass(frozen=True, eq=False)
class Walk:
    """The frames of a walk, as stored; F frames.

    Attributes:
        image: (F, 3, H, W) uint8, RGB, with the changes of colour of a real camera.
        depth: (F, H, W) uint16, millimetres, exact.
        T_map_camera: (F, 4, 4) float64, exact.
        T_given: (F, 4, 4) float64, the same with the errors of a tracker.
        intrinsics: (3, 3) float64.
        single: (F, H, W) float16, logarithm of metres: the shipped network's depth.
        stereo: (F, H, W) float16, logarithm of metres: motion stereo's with ``T_given``.
        weight: (F, H, W) uint8, motion stereo's confidence times 255; 0 where it has no answer.

    >>> names = [item.name for item in fields(Walk)]
    >>> names[0], len(names)
    ('image', 8)
    """

    image: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.uint16]
    T_map_camera: npt.NDArray[np.float64]
    T_given: npt.NDArray[np.float64]
    intrinsics: npt.NDArray[np.float64]
    single: npt.NDArray[np.float16]
    stereo: npt.NDArray[np.float16]
    weight: npt.NDArray[np.uint8]


def write_walk(path: Path, walk: Walk) -> None:
    """Write a walk, all of it or nothing.

    Raises:
        DataError: the folder cannot be written.
    """
    write_arrays(path, {item.name: getattr(walk, item.name) for item in fields(Walk)})


def read_walk(path: Path) -> Walk:
    """Return a stored walk.

    Raises:
        TrainingError: the file is missing or damaged.
    """
    with damage_refused(f"walk {path}", "a rendered walk"):
        with np.load(path, allow_pickle=False) as arrays:
            walk = Walk(**{item.name: arrays[item.name] for item in fields(Walk)})
        if walk.image.ndim != 4 or walk.depth.shape != walk.single.shape:
            raise ValueError(f"arrays {walk.image.shape} {walk.depth.shape}")
    return walk
