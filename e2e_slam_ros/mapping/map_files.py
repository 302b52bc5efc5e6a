"""Map files by their suffix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.mapping.map_checkpoint import is_checkpoint, save_map, sound_surfels
from e2e_slam_ros.mapping.outliers import without_outliers
from e2e_slam_ros.mapping.pcd import is_own_pcd, write_pcd
from e2e_slam_ros.mapping.ply import is_own_ply, write_ply
from e2e_slam_ros.mapping.snapshot import as_cloud
from e2e_slam_ros.mapping.surfel_store import Surfels
from e2e_slam_ros.mapping.top_down import is_own_png, top_down_picture, write_png

Up = tuple[float, float, float]

CHECKPOINT = ".safetensors"
SUFFIXES = (".ply", ".pcd", CHECKPOINT, ".png")


def check_suffix(path: Path) -> None:
    """Raise `MapError` unless there is a writer for the path's suffix."""
    if path.suffix.lower() not in SUFFIXES:
        raise MapError.from_parts(
            f"map file {path}",
            f"the suffix {path.suffix!r}",
            "one of " + ", ".join(SUFFIXES),
            "the suffix chooses the format: choose one of these",
        )


def check_surfels(surfels: Surfels, keyframes: int) -> None:
    """Raise `MapError` for a map that must not be written: empty, or not to be read again."""
    if len(surfels) == 0:
        raise MapError.from_parts(
            "map", "no surfels", "at least one mapped keyframe", "wait for it, then save"
        )
    wrong = len(surfels) - int(sound_surfels(surfels, keyframes).sum())
    if wrong:
        raise MapError.from_parts(
            "map",
            f"{wrong} surfels with values that no map has",
            "finite and plausible values",
            "leave these surfels out (sound_surfels)",
        )


_IS_OWN = {".ply": is_own_ply, ".pcd": is_own_pcd, CHECKPOINT: is_checkpoint, ".png": is_own_png}
_HEAD_BYTES = 4096


def is_map_file(path: Path) -> bool:
    """Return whether this package wrote a file: its first bytes say so."""
    is_own = _IS_OWN.get(path.suffix.lower())
    if is_own is None:
        return False
    with path.open("rb") as file:
        return is_own(file.read(_HEAD_BYTES))


def save(
    path: str | Path,
    surfels: Surfels,
    keyframes: int,
    *,
    up: Up = (0.0, 0.0, 1.0),
    outlier_sigma: float = 0.0,
    learned: Mapping[str, torch.Tensor] | None = None,
    tracking: Mapping[str, torch.Tensor] | None = None,
) -> Path:
    """Write a map and return the absolute path; the file appears whole or not at all.

    The suffix is the format: ``.ply`` and ``.pcd`` a point cloud with normals, colours
    and confidence, ``.safetensors`` a checkpoint that `load_map` reads, ``.png`` a picture from
    above.

    Args:
        path: the file; missing folders are made.
        surfels: (N,) a copy of the map's surfels (`SurfelMap.surfels`).
        keyframes: number of fusions that made them.
        up: direction against gravity in the map frame, for pictures.
        outlier_sigma: above 0, clouds and pictures lose their statistical outliers
            (`statistical_outliers`); checkpoints keep everything.
        learned: learned state of the refinement, kept in checkpoints.
        tracking: the tracker's keyframes, kept in checkpoints.

    Raises:
        MapError: another suffix, a map without surfels or with values that `load_map` would
            refuse, or a file that cannot be written. An older file stays as it was.
    """
    target = Path(path)
    check_suffix(target)
    check_surfels(surfels, keyframes)
    suffix = target.suffix.lower()
    if suffix == CHECKPOINT:
        return save_map(target, surfels, keyframes, learned, tracking)
    cloud = as_cloud(surfels)
    if outlier_sigma > 0:
        cloud = without_outliers(cloud, sigma=outlier_sigma)
    if suffix == ".png":
        return write_png(target, top_down_picture(cloud, up=up))
    return write_ply(target, cloud) if suffix == ".ply" else write_pcd(target, cloud)
