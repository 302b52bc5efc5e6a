"""One function that opens every kind of recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import InputOptions
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.layout import Layout, Wanted
from e2e_slam_ros.data.layouts import layout_named, recognised
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
    """Open a recording of any layout of `layouts`.

    A folder that holds only one recording (an unpacked archive) stands for that recording.

    Args:
        options: what the user names of the input. ``dataset`` names the layout.
        camera: intrinsics, or for TUM folders the name of a built-in camera ("fr1").
        more: fields of `InputOptions`, instead of ``options``.

    Raises:
        DataError: the path does not exist, is of no known layout, or its reader refuses it.
    """
    options = options or InputOptions(**more)
    layout, found = detect(Path(path).expanduser(), options.dataset)
    try:
        return layout.opened(found, Wanted(options, camera, require_depth, require_pose))
    except OSError as problem:
        raise DataError.from_parts(
            f"sequence {found}",
            problem.strerror or problem,
            "files that can be read",
            "check the path and its permissions",
        ) from problem


def detect(path: Path, name: str = "auto") -> tuple[Layout, Path]:
    """Return the layout of a path and the folder or file to open.

    ``name`` is the layout that the user names; "auto": it is recognised.

    Raises:
        DataError: the path does not exist or is of no known layout.
    """
    if name == "auto":
        return recognised(path)
    if not path.exists():
        raise DataError.from_parts(
            "sequence", f"{path}, which does not exist", "a folder or recording", "check the path"
        )
    return layout_named(name), path
