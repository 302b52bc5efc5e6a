"""Images of KITTI's raw data that a list names, with the depth of the laser scanner."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from e2e_slam_ros.config.errors import CameraError, ConfigError, DataError
from e2e_slam_ros.data.frame import Frame, ReaderReport
from e2e_slam_ros.data.images import read_color, read_depth
from e2e_slam_ros.data.kitti_scan import KittiCalibration, read_scan, scan_depth
from e2e_slam_ros.data.layout import IMAGE_SUFFIXES, stamp_of_number
from e2e_slam_ros.data.sequence import SequenceReader
from e2e_slam_ros.data.text_list import read_text
from e2e_slam_ros.geometry.camera import PinholeCamera

# Where depth comes from: the scan of the moment, or the annotated depth of several scans.
TRUTHS = ("velodyne", "improved")
_COUNTS_A_METRE = 256.0
# date/drive/image_02/data/0000000069.png, and date/drive 0000000069 l
_PATH = re.compile(r"([^/\s]+)/([^/\s]+)/image_0([23])/data/(\d+)(\.\w+)")
_NUMBERED = re.compile(r"([^/\s]+)/([^/\s]+)\s+(\d+)\s+([lr])")
_SIDES = {"l": 2, "r": 3}
_NAME_DIGITS = 10


@dataclass(frozen=True)
class KittiImage:
    """One image of a list.

    Attributes:
        date, drive: its folders: "2011_09_26", "2011_09_26_drive_0002_sync".
        camera: 2 is the left, 3 the right colour camera.
        number: of the frame in its drive.

    >>> listed_image("2011_09_26/2011_09_26_drive_0002_sync 0000000069 l").camera
    2
    """

    date: str
    drive: str
    camera: int
    number: int

    @property
    def name(self) -> str:
        """Name of its files without a suffix."""
        return f"{self.number:0{_NAME_DIGITS}d}"


def listed_image(line: str) -> KittiImage | None:
    """Return the image that a line of a published list names; None for another line.

    >>> listed_image("2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png x").name
    '0000000069'
    """
    words = line.strip()
    found = _PATH.match(words)
    if found is not None:
        date, drive, camera, number, _ = found.groups()
        return KittiImage(date, drive, int(camera), int(number))
    found = _NUMBERED.fullmatch(words)
    if found is None:
        return None
    date, drive, number, side = found.groups()
    return KittiImage(date, drive, _SIDES[side], int(number))


class KittiRawImages(SequenceReader):
    """The images of a list such as ``eigen_test_files.txt``, each with sparse depth and no pose.

    The folder holds the dates as they are published: ``2011_09_26/calib_cam_to_cam.txt``,
    ``calib_velo_to_cam.txt`` and, in each drive, ``image_02/data/`` and
    ``velodyne_points/data/``. Annotated depth is looked for in the drive
    (``proj_depth/groundtruth/image_02/``), and in ``train/DRIVE/`` and ``val/DRIVE/`` of the
    folder or of its ``data_depth_annotated/``. A frame whose depth is not there has none.

    Args:
        folder: of the dates.
        images: path of the list.
        truth: "velodyne" or "improved".

    Raises:
        ConfigError: another truth.
        DataError: the list cannot be read, or has a line that names no image.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "list.txt"
    ...     _ = path.write_text("2011_09_26/2011_09_26_drive_0002_sync 0000000069 l")
    ...     len(KittiRawImages(Path(folder), path))
    1
    """

    def __init__(self, folder: Path, images: Path, truth: str = TRUTHS[0]) -> None:
        if truth not in TRUTHS:
            raise ConfigError.from_parts(
                "--truth", repr(truth), "one of: " + ", ".join(TRUTHS), "choose one of these"
            )
        super().__init__(images.stem, ReaderReport())
        self._folder, self._truth = folder, truth
        self._images = _listed(images)
        self.report.listed = len(self._images)
        self._calibrations: dict[tuple[str, int], KittiCalibration] = {}

    def __len__(self) -> int:
        return len(self._images)

    def _read(self, index: int) -> Frame:
        item = self._images[index]
        drive = self._folder / item.date / item.drive
        path = _with_suffix(drive / f"image_0{item.camera}" / "data", item.name)
        image = read_color(path, str(path))
        size = image.shape[1], image.shape[0]
        calibration = self._calibration(item)
        calibration.check_size(size)
        depth = None
        if self._truth == "velodyne":
            scan = drive / "velodyne_points" / "data" / f"{item.name}.bin"
            if scan.is_file():
                depth = scan_depth(read_scan(scan), calibration.projection, size)
        else:
            annotated = self._annotated(item)
            if annotated is not None:
                depth = read_depth(annotated, str(annotated), _COUNTS_A_METRE)
        camera = _camera(calibration, size)
        return Frame(index, stamp_of_number(item.number), image, camera, depth)

    def _calibration(self, item: KittiImage) -> KittiCalibration:
        key = item.date, item.camera
        if key not in self._calibrations:
            self._calibrations[key] = KittiCalibration.read(self._folder / item.date, item.camera)
        return self._calibrations[key]

    def _annotated(self, item: KittiImage) -> Path | None:
        inner = Path("proj_depth") / "groundtruth" / f"image_0{item.camera}" / f"{item.name}.png"
        parts = [
            self._folder / outer / half / item.drive
            for outer in (".", "data_depth_annotated")
            for half in ("train", "val")
        ]
        drives = [self._folder / item.date / item.drive, *parts]
        return next((drive / inner for drive in drives if (drive / inner).is_file()), None)


def _listed(path: Path) -> list[KittiImage]:
    images = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        image = listed_image(line)
        if image is None:
            raise DataError.from_parts(
                f"list {path}, line {number}",
                repr(line.strip()),
                "DATE/DRIVE/image_02/data/NUMBER.png, or DATE/DRIVE NUMBER l",
                "give the list of test images as it is published",
            )
        images.append(image)
    if not images:
        raise DataError.from_parts(
            f"list {path}", "no image", "one image a line", "give the published list"
        )
    return images


def _with_suffix(folder: Path, name: str) -> Path:
    """Return the image's file; published as PNG, often kept as JPEG."""
    paths = [folder / f"{name}{suffix}" for suffix in IMAGE_SUFFIXES]
    return next((path for path in paths if path.is_file()), paths[0])


def _camera(calibration: KittiCalibration, size: tuple[int, int]) -> PinholeCamera:
    p = calibration.rectified
    fx, fy, cx, cy = (float(p[r, c]) for r, c in ((0, 0), (1, 1), (0, 2), (1, 2)))
    try:
        return PinholeCamera(*size, fx, fy, cx, cy)
    except CameraError as problem:
        raise DataError(f"{calibration.source}: {problem}") from problem
