"""Folders of the ICL-NUIM benchmark (its "TUM RGB-D compatible" images)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.calibration import TUM_DEPTH_FACTOR, Calibration, calibration_of
from e2e_slam_ros.data.folder_sequence import FolderSequence, FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import keep_complete, note_unsynchronised
from e2e_slam_ros.data.icl_poses import read_icl_poses
from e2e_slam_ros.data.text_list import read_text, words_of
from e2e_slam_ros.data.tum import is_tum_folder
from e2e_slam_ros.geometry.camera import PinholeCamera

# Published: 481.20, -480.00, 319.50, 239.50. See `icl_poses` for the sign of fy.
ICL_CAMERA = PinholeCamera(640, 480, 481.2, 480.0, 319.5, 239.5)
_POSE_PATTERNS = ("*.gt.freiburg", "*.gt.sim")


@dataclass(frozen=True)
class _Pair:
    number: int
    image: Path
    depth: Path | None


class IclReader(FolderSequence):
    """An ICL-NUIM folder: ``associations.txt`` (or numbered files in ``rgb/``) and its poses.

    Poses come from ``*.gt.freiburg`` in the folder, or else from ``*.gt.sim``. They are mirrored
    into right-handed axes (`icl_poses`). In a ``.freiburg`` file each line starts with the number
    of its image. The matrices of a ``.sim`` file belong to the listed images in order.

    The sequence has frame numbers but no times. Frame n gets the time 1 s + n / ``rate_hz``,
    because time 0 means "no time" in ROS. The map frame is that of the ground truth, mirrored in
    y.

    Args:
        camera: intrinsics. Default: ``calibration.yaml`` in the folder, else the published ones.
        poses: the pose file, if it is not in the folder.
        first_pose_image: number of the image of the first pose, if neither rule above fits the
            download.
        rate_hz: frames per second of the rendered camera.

    Raises:
        DataError: not such a folder, no image, or a pose file of neither format.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part, mode in (("rgb", "RGB"), ("depth", "I;16")):
    ...         (Path(folder) / part).mkdir()
    ...         Image.new(mode, (640, 480)).save(Path(folder) / part / "0.png")
    ...     frame = IclReader(folder)[0]
    >>> frame.stamp_ns, frame.camera.fy
    (1000000000, 480.0)
    """

    def __init__(
        self,
        folder: Path | str,
        camera: PinholeCamera | None = None,
        require_depth: bool = False,
        require_pose: bool = False,
        poses: Path | str | None = None,
        first_pose_image: int | None = None,
        rate_hz: float = 30.0,
    ) -> None:
        folder = Path(folder)
        if not 0.0 < rate_hz < float("inf"):
            raise DataError.from_parts("rate_hz", rate_hz, "a positive rate", "30 is published")
        report = ReaderReport()
        pairs = _pairs(folder, report)
        pose_file = Path(poses) if poses is not None else _pose_file(folder, report)
        found = _poses(pose_file, pairs, first_pose_image, report)
        files = [
            FrameFiles(10**9 + round(p.number * 1e9 / rate_hz), p.image, p.depth, pose)
            for p, pose in zip(pairs, found, strict=True)
        ]
        files = keep_complete(folder.name, files, require_depth, require_pose, report)
        calibration = calibration_of(folder, camera) or Calibration(
            ICL_CAMERA, TUM_DEPTH_FACTOR, "the ICL-NUIM camera"
        )
        super().__init__(folder.resolve().name, files, calibration, report, require_depth)


def is_icl_folder(folder: Path) -> bool:
    """Return whether a folder is in ICL-NUIM's layout and not in TUM's."""
    if _matching(folder, _POSE_PATTERNS):
        return True
    return (folder / "associations.txt").is_file() and not is_tum_folder(folder)


def _pairs(folder: Path, report: ReaderReport) -> list[_Pair]:
    """Return the listed images that exist, sorted by number."""
    path = folder / "associations.txt"
    listed = _listed(path, report) if path.is_file() else _numbered(folder)
    report.listed = len(listed)
    existing: dict[int, _Pair] = {}
    for pair in listed:
        if not pair.image.is_file():
            report.skip("missing colour image")
            continue
        if pair.number in existing:
            report.skip(f"repeated number in {path.name}")
            continue
        depth = pair.depth if pair.depth is not None and pair.depth.is_file() else None
        if depth is None:
            report.skip("missing depth image")
        existing[pair.number] = _Pair(pair.number, pair.image, depth)
    if not existing:
        raise DataError.from_parts(
            f"folder {folder}",
            f"{len(listed)} listed images, none of which exists",
            "associations.txt with rgb/ and depth/, or rgb/0.png, rgb/1.png, ...",
            "extract the 'TUM RGB-D compatible' archive of ICL-NUIM",
        )
    return [existing[number] for number in sorted(existing)]


def _listed(path: Path, report: ReaderReport) -> list[_Pair]:
    """Read lines ``number depth-file number colour-file``.

    The two files may come in either order.
    """
    pairs = []
    for line in read_text(path).splitlines():
        words = words_of(line)
        if not words:
            continue
        try:
            number = float(words[0])
            if len(words) < 4 or number < 0 or not number.is_integer():
                raise ValueError(line)
        except ValueError:
            report.skip(f"malformed line in {path.name}")
            continue
        first, second = path.parent / words[1], path.parent / words[3]
        depth, image = (first, second) if "depth" in words[1] else (second, first)
        pairs.append(_Pair(int(number), image, depth))
    return pairs


def _numbered(folder: Path) -> list[_Pair]:
    """Pair ``rgb/<n>.png`` with ``depth/<n>.png``."""
    images = {
        int(path.stem): path
        for path in _matching(folder / "rgb", ("*.png", "*.jpg"))
        if path.stem.isdecimal()
    }
    return [_Pair(n, images[n], folder / "depth" / f"{n}.png") for n in sorted(images)]


def _pose_file(folder: Path, report: ReaderReport) -> Path | None:
    found = _matching(folder, _POSE_PATTERNS)
    if not found:
        report.note("no *.gt.freiburg or *.gt.sim: the frames have no pose")
        return None
    if len(found) > 1:
        report.note(f"several pose files; {found[0].name} is used")
    return found[0]


def _matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]


def _poses(
    path: Path | None, pairs: list[_Pair], first_pose_image: int | None, report: ReaderReport
) -> list[npt.NDArray[np.float64] | None]:
    if path is None:
        return [None] * len(pairs)
    found = read_icl_poses(path, report)
    if first_pose_image is not None:
        first = min(found.poses, default=0) if found.numbered else 0
        offset = first_pose_image - first
    else:
        # Published lists have no gaps. The first matrix belongs to the first listed image.
        offset = 0 if found.numbered else pairs[0].number
    poses = [found.poses.get(pair.number - offset) for pair in pairs]
    note_unsynchronised(path.name, len(found.poses), poses, report)
    return poses
