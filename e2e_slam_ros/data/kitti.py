"""Folders of the KITTI odometry benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.folder_sequence import FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.images import image_size
from e2e_slam_ros.data.layout import (
    Wanted,
    image_files,
    layout_calibration,
    missing_part,
    note_no_times,
    number_of,
    stamp_of_number,
)
from e2e_slam_ros.data.layout_sequence import LayoutSequence
from e2e_slam_ros.data.pose_files import Matrix, camera_pose, matrix_rows, numbers_of
from e2e_slam_ros.data.text_list import read_text
from e2e_slam_ros.geometry.lens_model import LensModel

# Colour before grey, left before right.
_CAMERAS = ("image_2", "image_3", "image_0", "image_1")
_FIRST_S = 1.0


class KittiReader(LayoutSequence):
    """A KITTI odometry sequence: ``image_2/``, ``calib.txt``, ``times.txt`` and poses.

    ``calib.txt`` has a 3x4 projection matrix of each camera, ``P2 = K [I | t]``. Poses are those
    of camera 0 (x right, y down, z forward), one 3x4 matrix a line. They become poses of the
    camera used by ``t``. The file is ``poses.txt`` in the folder, or ``../../poses/00.txt``.
    There is no depth.

    Args:
        folder: such as ``sequences/00``.
        wanted: options; ``image_topic`` chooses a camera ("image_3").

    Raises:
        DataError: not such a folder, or no calibration of the camera.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "image_2").mkdir()
    ...     Image.new("RGB", (8, 6)).save(Path(folder) / "image_2" / "000000.png")
    ...     _ = (Path(folder) / "calib.txt").write_text("P2: 8 0 3.5 0 0 8 2.5 0 0 0 1 0")
    ...     KittiReader(Path(folder))[0].camera.fx
    8.0
    """

    def __init__(self, folder: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        given = wanted.options.image_topic.strip("/")
        name = given or next((n for n in _CAMERAS if image_files(folder / n)), "image_2")
        images = image_files(folder / name)
        if not images:
            raise missing_part(folder, f"no image in {name}/", f"one of {', '.join(_CAMERAS)}")
        report.listed = len(images)
        projection = _projection(folder / "calib.txt", f"P{name[-1]}")
        calibration = layout_calibration(
            wanted,
            lambda: _lens(projection, image_size(images[0]), folder, name),
            1000.0,
            f"calib.txt of {folder}",
            images[0],
            report,
        )
        T_first_camera = np.eye(4)
        if projection is not None:
            # P = K [I | t], and t is camera 0 in the camera's frame.
            T_first_camera[:3, 3] = -np.linalg.solve(projection[:, :3], projection[:, 3])
        stamps = _stamps(folder, images, report)
        poses = _poses(folder, report)
        report.note("this layout has no depth")
        files = []
        for place, image in enumerate(images):
            number = number_of(image)
            number = place if number is None else number
            pose = poses[number] if number < len(poses) else None
            pose = camera_pose(pose, T_first_camera, wanted.options)
            files.append(FrameFiles(stamps[place], image, None, pose))
        name = f"kitti_{folder.resolve().name}"
        super().__init__(name, files, calibration, report, wanted)


def is_kitti_folder(path: Path) -> bool:
    """Return whether a folder has ``calib.txt`` and one of KITTI's cameras."""
    return (path / "calib.txt").is_file() and any((path / name).is_dir() for name in _CAMERAS)


def _projection(path: Path, name: str) -> Matrix | None:
    """Return the (3, 4) projection matrix of a camera; None if the file has none."""
    if not path.is_file():
        return None
    for line in read_text(path).splitlines():
        key, _, rest = line.partition(":")
        if key.strip() != name:
            continue
        try:
            values = np.array([float(word) for word in rest.split()])
        except ValueError:
            return None
        good = values.size == 12 and bool(np.isfinite(values).all())
        matrix = values.reshape(3, 4) if good else np.zeros((3, 4))
        return matrix if abs(np.linalg.det(matrix[:, :3])) > 1e-9 else None
    return None


def _lens(
    projection: Matrix | None, size: tuple[int, int] | None, folder: Path, name: str
) -> LensModel:
    if projection is None or size is None:
        raise missing_part(
            folder,
            f"no projection matrix P{name[-1]} in calib.txt",
            f"a line 'P{name[-1]}: ...' of 12 numbers",
            f"copy the sequence's calib.txt, or give {option('intrinsics', 'fx,fy,cx,cy')}",
        )
    fx, fy, cx, cy = (float(projection[r, c]) for r, c in ((0, 0), (1, 1), (0, 2), (1, 2)))
    return LensModel(*size, fx, fy, cx, cy)


def _stamps(folder: Path, images: list[Path], report: ReaderReport) -> list[int]:
    path = folder / "times.txt"
    numbers = [number_of(image) for image in images]
    places = [i if number is None else number for i, number in enumerate(numbers)]
    if not path.is_file():
        note_no_times(report)
        return [stamp_of_number(place) for place in places]
    times = [row[0] for row in numbers_of(path, "times")]
    good = len(times) > max(places) and bool(np.isfinite(times).all())
    used = np.array([times[place] for place in places]) if good else np.zeros(0)
    if not good or (np.diff(used) <= 0).any() or np.abs(used).max() > 1e9:
        report.note(f"times.txt does not fit the {len(images)} images and is not used")
        note_no_times(report)
        return [stamp_of_number(place) for place in places]
    # The first image is at 0 s, and time 0 means "no time" in ROS.
    return [round((time + _FIRST_S) * 1e9) for time in used.tolist()]


def _poses(folder: Path, report: ReaderReport) -> list[Matrix | None]:
    outer = folder.resolve()
    beside = outer.parent.parent / "poses" / f"{outer.name}.txt"
    path = next((p for p in (folder / "poses.txt", beside) if p.is_file()), None)
    if path is None:
        report.note("no poses.txt: the frames have no pose")
        return []
    return matrix_rows(path, report)
