"""The evidence of keyframes with their true depth, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.refine.learned_correction.features import COARSE, FINE
from e2e_slam_ros.training.data.rendered_file import damage_refused, write_arrays

_SIZES = "sizes"
_EXPECTED = "recorded evidence"


@dataclass(frozen=True, eq=False)
class KeyframeEvidence:
    """What the correction sees of one keyframe, and what is true; all float16.

    Attributes:
        coarse: (26, h, w), see `CorrectionFeatures`.
        fine: (13, 2h, 2w), likewise.
        depth: (2h, 2w) metres, the depth before the learned correction.
        truth: (2h, 2w) metres, 0 = unknown.

    >>> [item.name for item in fields(KeyframeEvidence)]
    ['coarse', 'fine', 'depth', 'truth']
    """

    coarse: npt.NDArray[np.float16]
    fine: npt.NDArray[np.float16]
    depth: npt.NDArray[np.float16]
    truth: npt.NDArray[np.float16]


@dataclass(frozen=True)
class EvidenceSizes:
    """What a file holds.

    Attributes:
        count: of keyframes; 0: a walk that showed nothing.
        height, width: of the sweeps, pixels.

    >>> EvidenceSizes(30, 120, 160).count
    30
    """

    count: int
    height: int
    width: int


def write_evidence(path: Path, items: Sequence[KeyframeEvidence]) -> None:
    """Write the evidence of a walk, all of it or nothing. Its sweeps have one size.

    Raises:
        DataError: the folder cannot be written, the disk is full.
    """
    size = items[0].coarse.shape[1:] if items else (0, 0)
    arrays: dict[str, npt.NDArray[np.generic]] = {
        _SIZES: np.array([len(items), *size], dtype=np.int64)
    }
    for index, item in enumerate(items):
        for name in (field.name for field in fields(KeyframeEvidence)):
            arrays[f"{name}_{index}"] = getattr(item, name)
    write_arrays(path, arrays)


def read_sizes(path: Path) -> EvidenceSizes:
    """Return the sizes of a file's evidence; the evidence itself is not read.

    Raises:
        TrainingError: the file is missing or damaged.
    """
    with damage_refused(f"evidence {path}", _EXPECTED):
        with np.load(path, allow_pickle=False) as arrays:
            count, height, width = (int(value) for value in arrays[_SIZES])
            names = set(arrays.files)
        if not {f"truth_{index}" for index in range(count)} <= names:
            raise ValueError(f"fewer than {count} keyframes")
    return EvidenceSizes(count, height, width)


def read_evidence(path: Path, index: int) -> KeyframeEvidence:
    """Return the evidence of one keyframe; only its part of the file is read.

    Raises:
        TrainingError: the file is missing or damaged, or has no such keyframe.
    """
    with damage_refused(f"evidence {path}", _EXPECTED):
        with np.load(path, allow_pickle=False) as arrays:
            item = KeyframeEvidence(
                *(arrays[f"{field.name}_{index}"] for field in fields(KeyframeEvidence))
            )
        height, width = item.coarse.shape[1:]
        wanted = ((COARSE, height, width), (FINE, 2 * height, 2 * width))
        found = (item.coarse.shape, item.fine.shape)
        same = item.depth.shape == item.truth.shape == (2 * height, 2 * width)
        if found != wanted or not same:
            raise ValueError(f"arrays {item.coarse.shape} {item.fine.shape}")
    return item
