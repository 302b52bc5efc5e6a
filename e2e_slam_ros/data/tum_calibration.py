"""Calibration of a folder in TUM's layout: given, in a file, built in or assumed."""

from __future__ import annotations

from pathlib import Path

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import InputOptions, option
from e2e_slam_ros.data.calibration import (
    CALIBRATION_FILE,
    TUM_DEPTH_FACTOR,
    Calibration,
    calibration_of,
    lens_of_text,
    tum_camera,
)
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.images import image_size
from e2e_slam_ros.geometry.camera import PinholeCamera


def folder_calibration(
    folder: Path,
    camera: PinholeCamera | str | None,
    report: ReaderReport,
    options: InputOptions,
    image: Path,
) -> Calibration:
    """Return the calibration of a TUM folder, by the order in `TumReader`.

    Args:
        image: one of the folder, whose size applies where the options give numbers alone.

    Raises:
        DataError: the camera's name is not known, or a calibration file cannot be used.
    """
    named, given = (camera, None) if isinstance(camera, str) else (None, camera)
    lens = None
    if given is None and options.intrinsics:
        lens = lens_of_text(options.intrinsics, image_size(image))
    found = calibration_of(folder, lens or given, options.depth_factor)
    if found is not None:
        if found.assumed_factor:
            report.note(
                f"{found.source} does not say how many counts of depth are a metre; "
                f"{found.depth_factor:g} assumed; {option('depth_factor', '1000')} for millimetres"
            )
        if found.lens is not None:
            report.note(f"{found.source}: {found.lens.words}")
        return found
    return _built_in(folder, named, options.depth_factor or TUM_DEPTH_FACTOR, report)


def _built_in(folder: Path, named: str | None, factor: float, report: ReaderReport) -> Calibration:
    """Return the built-in camera of a name, of the folder's name, or "ros" with a note."""
    # The resolved folder has the name, also if the path is "." or a link.
    built_in = tum_camera(folder.resolve().name if named is None else named)
    if named is not None:
        if built_in is None:
            raise DataError.from_parts(
                "camera", repr(named), "fr1, fr2, fr3 or ros", "or pass a PinholeCamera"
            )
        return Calibration(built_in, factor, f"the built-in camera {named}")
    if built_in is not None:
        return Calibration(built_in, factor, "the TUM camera of the folder's name")
    report.note(
        f"no {CALIBRATION_FILE} and no fr1/fr2/fr3 in the folder's name: "
        "525, 525, 319.5, 239.5 assumed, without distortion"
    )
    fallback = tum_camera("ros")
    assert fallback is not None
    return Calibration(fallback, factor, "the camera assumed")
