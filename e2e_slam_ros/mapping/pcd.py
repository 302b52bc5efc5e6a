"""PCD files of the map (version 0.7, binary), as PCL and Open3D read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from e2e_slam_ros.mapping.ply import read_records, stack_fields, write_records
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

_POINT = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z", "normal_x", "normal_y", "normal_z")),
        # Bytes 0, red, green, blue of a word that PCL calls a float and never computes with.
        ("rgb", "<u4"),
        ("confidence", "<f4"),
    ]
)

_FIRST_LINES = (
    "# .PCD v0.7 - Point Cloud Data file format",
    "VERSION 0.7",
    "FIELDS " + " ".join(_POINT.names or ()),
)


def write_pcd(path: str | Path, cloud: SurfelCloud) -> Path:
    """Write ``cloud`` and return the absolute path; the file appears whole or not at all.

    Raises:
        MapError: the folder is missing or read-only, or the disk is full.
    """
    points = np.empty(len(cloud), dtype=_POINT)
    for axis, name in enumerate("xyz"):
        points[name] = cloud.positions[:, axis]
        points[f"normal_{name}"] = cloud.normals[:, axis]
    colors = cloud.colors.astype(np.uint32)
    points["rgb"] = (colors[:, 0] << 16) | (colors[:, 1] << 8) | colors[:, 2]
    points["confidence"] = cloud.confidence
    return write_records(path, _header(len(cloud)), points)


def read_pcd(path: str | Path) -> SurfelCloud:
    """Read a file that `write_pcd` wrote.

    Raises:
        MapError: missing, truncated, or not a map of ours.
    """
    points = read_records(path, "PCD", b"POINTS ", b"DATA binary\n", _header, _POINT)
    channels = [points["rgb"] >> shift & 0xFF for shift in (16, 8, 0)]
    return SurfelCloud(
        positions=stack_fields(points, ("x", "y", "z")),
        normals=stack_fields(points, ("normal_x", "normal_y", "normal_z")),
        colors=np.stack(channels, axis=1).astype(np.uint8),
        confidence=points["confidence"].copy(),
    )


def is_own_pcd(head: bytes) -> bool:
    """Return whether a file that begins so has the fields of `write_pcd`."""
    return head.startswith("\n".join(_FIRST_LINES).encode())


def _header(count: int) -> bytes:
    names = _POINT.names or ()
    lines = (
        *_FIRST_LINES,
        "SIZE" + " 4" * len(names),
        "TYPE" + " F" * len(names),
        "COUNT" + " 1" * len(names),
        f"WIDTH {count}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {count}",
        "DATA binary",
    )
    return ("\n".join(lines) + "\n").encode("ascii")
