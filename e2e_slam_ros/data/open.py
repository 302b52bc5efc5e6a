"""One function that opens every kind of recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import InputOptions
from e2e_slam_ros.data.bag_file import is_bag
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.icl import IclReader, is_icl_folder
from e2e_slam_ros.data.rosbag import BagReader
from e2e_slam_ros.data.tum import TumReader, is_tum_folder
from e2e_slam_ros.geometry.camera import PinholeCamera


def open_reader(
    path: Path | str,
    *,
    options: InputOptions | None = None,
    camera: PinholeCamera | str | None = None,
    require_depth: bool = False,
    require_pose: bool = False,
    **more: Any,
) -> FrameReader:
    """Open a TUM RGB-D folder, an ICL-NUIM folder or a ROS recording.

    A folder that holds only one such folder (an unpacked archive) stands for that folder.

    Args:
        options: what the user names of the input.
        camera: intrinsics, or for TUM folders the name of a built-in camera ("fr1").
        more: fields of `InputOptions`, instead of ``options``.

    Raises:
        DataError: the path does not exist, is of no known kind, or its reader refuses it.
    """
    options = options or InputOptions(**more)
    kind, found = detect(Path(path).expanduser())
    if kind == "tum":
        return TumReader(found, camera, options, require_depth, require_pose)
    if isinstance(camera, str):
        raise DataError.from_parts(
            "camera",
            repr(camera),
            "intrinsics: built-in names are for TUM folders",
            "leave it out",
        )
    if kind == "icl":
        return IclReader(found, camera, require_depth, require_pose)
    return BagReader(found, options, camera, require_depth, require_pose)


def detect(path: Path) -> tuple[str, Path]:
    """Return the kind of a path ("tum", "icl" or "bag") and the folder or file to open.

    Raises:
        DataError: the path does not exist or is of no known kind.
    """
    if not path.exists():
        raise DataError.from_parts(
            "sequence", f"{path}, which does not exist", "a folder or recording", "check the path"
        )
    kind = _kind(path)
    if kind is not None:
        return kind, path
    inner = [p for p in sorted(path.iterdir()) if p.is_dir()] if path.is_dir() else []
    known = [(found, p) for p in inner if (found := _kind(p)) is not None]
    if len(known) == 1:
        return known[0]
    raise DataError.from_parts(
        f"sequence {path}",
        f"{len(known)} sequences in it" if known else "no rgb.txt, associations.txt or recording",
        "a TUM RGB-D or ICL-NUIM folder, a rosbag2 folder, or an .mcap, .db3 or .bag file",
        f"choose {', '.join(p.name for _, p in known)}" if known else "check the path",
    )


def _kind(path: Path) -> str | None:
    if path.is_dir() and is_icl_folder(path):
        return "icl"
    if path.is_dir() and is_tum_folder(path):
        return "tum"
    return "bag" if is_bag(path) else None
