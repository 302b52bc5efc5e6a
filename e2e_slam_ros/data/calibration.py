"""Intrinsics and depth factor of a recording: built in for TUM RGB-D, otherwise from a file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from e2e_slam_ros.config.errors import CameraError, DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.config.plain_yaml import load_plain_yaml
from e2e_slam_ros.data.atomic import write_text_atomic
from e2e_slam_ros.data.camera_file import (
    lens_of_colmap,
    lens_of_mapping,
    lens_of_opencv_storage,
)
from e2e_slam_ros.data.text_list import read_text
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.lens_model import LensModel

CALIBRATION_FILE = "calibration.yaml"
# In this order; those of other programs come after our own.
CALIBRATION_FILES = (
    CALIBRATION_FILE,
    *("ost.yaml", "camera_info.yaml", "camchain.yaml", "sensor.yaml", "camera.yaml"),
    *("intrinsics.yaml", "cameras.txt"),
)
TUM_DEPTH_FACTOR = 5000.0
_REQUIRED = ("width", "height", "fx", "fy", "cx", "cy")
_OPTIONAL = ("distortion", "distortion_model", "depth_factor")

# From the calibration page of the TUM RGB-D benchmark (Sturm et al., IROS 2012), colour cameras.
# The page suggests "ros" for a sequence of unknown calibration. The fr3 images are undistorted.
# The published depth is registered to colour and corrected by the benchmark's depth factors. It
# has 5000 counts a metre in all sequences.
_TUM_CAMERAS = {
    "fr1": PinholeCamera(
        640, 480, 517.3, 516.5, 318.6, 255.3, (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
    ),
    "fr2": PinholeCamera(
        640, 480, 520.9, 521.0, 325.1, 249.7, (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)
    ),
    "fr3": PinholeCamera(640, 480, 535.4, 539.2, 320.1, 247.6),
    "ros": PinholeCamera(640, 480, 525.0, 525.0, 319.5, 239.5),
}


@dataclass(frozen=True)
class Calibration:
    """Intrinsics and depth factor of a recording.

    Attributes:
        camera: intrinsics of the colour image. Depth is registered to it.
        depth_factor: depth counts per metre.
        source: origin of the calibration, in words.
        lens: of the images as they are stored, if they become ``camera`` only by remapping.
        assumed_factor: true if the file of another program does not name the depth factor.

    >>> Calibration(tum_camera("fr1"), 5000.0, "built in").camera.fx
    517.3
    """

    camera: PinholeCamera
    depth_factor: float
    source: str
    lens: LensModel | None = None
    assumed_factor: bool = False


def tum_camera(name: str) -> PinholeCamera | None:
    """Return the built-in camera of a name (fr1, freiburg2_desk, ros, ...), or None."""
    found = re.search(r"(?:fr|freiburg)([123])(?!\d)", name.lower())
    if found:
        return _TUM_CAMERAS[f"fr{found.group(1)}"]
    return _TUM_CAMERAS.get(name.lower())


def read_calibration(path: Path) -> Calibration:
    """Read a calibration file.

    The keys ``width height fx fy cx cy`` are in pixels. Optional keys are ``distortion`` (k1 k2 p1
    p2 [k3 [k4 k5 k6 ...]], or four of a fisheye), ``distortion_model`` and ``depth_factor``
    (counts per metre, default 5000). Files of other programs: `camera_file`.

    Raises:
        DataError: the file cannot be read, a key is missing or unknown, or the values do not
            describe a camera.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "calibration.yaml"
    ...     write_calibration(path, PinholeCamera(64, 48, 50.0, 50.0, 31.5, 23.5), 1000.0)
    ...     read_calibration(path).depth_factor
    1000.0
    """
    text = read_text(path)
    try:
        found = lens_of_colmap(text, str(path))
        if found is None and (text.startswith("%YAML") or "!!opencv-matrix" in text):
            found = lens_of_opencv_storage(path)
        if found is not None:
            return calibration_of_lens(found, TUM_DEPTH_FACTOR, str(path), True)
        # OpenCV's first line, which YAML does not allow.
        content = load_plain_yaml(re.sub(r"\A%YAML:[^\n]*\n", "", text))
        if isinstance(content, dict) and "fx" not in content:
            found = lens_of_mapping(content, f"calibration {path}")
            if found is not None:
                factor = float(content.get("depth_factor", TUM_DEPTH_FACTOR))
                assumed = "depth_factor" not in content
                return calibration_of_lens(found, factor, str(path), assumed)
    except (yaml.YAMLError, RecursionError) as problem:
        raise _refusal(path, problem, "YAML") from problem
    except (TypeError, ValueError, CameraError) as problem:
        raise _refusal(path, problem, "numbers that describe a camera") from problem
    if not isinstance(content, dict):
        raise _refusal(path, type(content).__name__, f"the keys {' '.join(_REQUIRED)}")
    missing = [key for key in _REQUIRED if key not in content]
    unknown = [str(key) for key in content if key not in (*_REQUIRED, *_OPTIONAL)]
    if missing or unknown:
        got = f"no {' '.join(missing)}" if missing else f"unknown {' '.join(unknown)}"
        raise _refusal(path, got, f"{' '.join(_REQUIRED)} [{' '.join(_OPTIONAL)}]")
    try:
        fx, fy, cx, cy = (float(content[key]) for key in ("fx", "fy", "cx", "cy"))
        distortion = tuple(float(value) for value in content.get("distortion") or ())
        model = str(content.get("distortion_model", ""))
        factor = float(content.get("depth_factor", TUM_DEPTH_FACTOR))
        width, height = int(content["width"]), int(content["height"])
        lens = LensModel(width, height, fx, fy, cx, cy, model, distortion)
        return calibration_of_lens(lens, factor, str(path))
    except (TypeError, ValueError, CameraError) as problem:
        raise _refusal(path, problem, "numbers that describe a camera") from problem


def lens_of_text(text: str, size: tuple[int, int] | None) -> LensModel:
    """Return the lens of the option ``intrinsics``.

    It is ``fx,fy,cx,cy`` (and k1, k2, p1, p2, k3, ...) for images of ``size``, a calibration file,
    or the name of a built-in camera.

    Raises:
        DataError: none of these, or numbers without a known size.

    >>> lens_of_text("500,500,319.5,239.5", (640, 480)).fx
    500.0
    """
    built_in = _TUM_CAMERAS.get(text.lower())
    if built_in is not None:
        return LensModel.of_pinhole(built_in)
    try:
        numbers = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        path = Path(text).expanduser()
        if path.is_file():
            calibration = read_calibration(path)
            return calibration.lens or LensModel.of_pinhole(calibration.camera)
        numbers = []
    if len(numbers) < 4 or size is None:
        raise DataError.from_parts(
            "intrinsics",
            repr(text),
            f"fx,fy,cx,cy, a calibration file, or one of {', '.join(_TUM_CAMERAS)}",
            f"give {option('intrinsics', '500,500,319.5,239.5')}",
        )
    fx, fy, cx, cy, *coefficients = numbers
    try:
        return LensModel(*size, fx, fy, cx, cy, "", tuple(coefficients))
    except CameraError as problem:
        raise DataError(str(problem)) from problem


def calibration_of_lens(
    lens: LensModel, factor: float, source: str, assumed: bool = False
) -> Calibration:
    """Return the calibration of images of a lens.

    Raises:
        DataError: the depth factor is not positive.
    """
    if not 0.0 < factor < float("inf"):
        raise _refusal(
            Path(source), f"depth_factor {factor}", "a positive number of counts per metre"
        )
    remapped = None if lens.is_plain else lens
    return Calibration(lens.pinhole, factor, source, remapped, assumed)


def calibration_of(
    folder: Path,
    given: PinholeCamera | LensModel | None = None,
    factor: float = 0.0,
) -> Calibration | None:
    """Return the calibration of a folder's images: a given camera, else that of its file.

    None where there is neither. The depth factor is the given one, that of the file, or TUM's.
    """
    path = next((folder / n for n in CALIBRATION_FILES if (folder / n).is_file()), None)
    beside = None if path is None else read_calibration(path)
    if given is not None:
        lens = given if isinstance(given, LensModel) else LensModel.of_pinhole(given)
        per_metre = factor or (beside.depth_factor if beside else TUM_DEPTH_FACTOR)
        return calibration_of_lens(lens, per_metre, "the camera given")
    return (
        replace(beside, depth_factor=factor, assumed_factor=False) if beside and factor else beside
    )


def write_calibration(path: Path, camera: PinholeCamera, depth_factor: float) -> None:
    """Write a file for `read_calibration`.

    Raises:
        DataError: the file cannot be written.
    """
    content: dict[str, object] = {"width": camera.width, "height": camera.height}
    content |= {name: float(getattr(camera, name)) for name in ("fx", "fy", "cx", "cy")}
    if camera.distortion:
        content["distortion"] = [float(value) for value in camera.distortion]
    content["depth_factor"] = float(depth_factor)
    write_text_atomic(path, yaml.safe_dump(content, sort_keys=False))


def _refusal(path: Path, got: object, expected: str) -> DataError:
    return DataError.from_parts(f"calibration {path}", got, expected, "correct the file")
