"""Exported folders of ScanNet: color/, depth/, pose/ and intrinsic/."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import CameraError, DataError, DepthError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.folder_sequence import FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.images import image_size, read_depth
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
from e2e_slam_ros.data.pose_files import Matrix, camera_pose, numbers_of, pose_of_file, rigid
from e2e_slam_ros.data.scannet_cameras import ScannetCameras, lens_of_matrix
from e2e_slam_ros.geometry.lens_model import LensModel

# The principal point of a camera is this near to the image's centre, in image widths.
_CENTRED = 0.15


class ScannetReader(LayoutSequence):
    r"""A folder of ScanNet's exporter: ``color/0.jpg``, ``depth/0.png``, ``pose/0.txt``.

    ``intrinsic/`` holds ``intrinsic_color.txt`` and ``intrinsic_depth.txt``, and may hold the
    extrinsics of both cameras. Colour and depth have different sizes: depth is registered to
    colour. Depth is in millimetres. Poses are camera-to-world (x right, y down, z forward).

    Intrinsics of colour that are for another size than the images (resized exports) are scaled.

    Raises:
        DataError: not such a folder, or no intrinsics.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in ("color", "pose", "intrinsic"):
    ...         (Path(folder) / part).mkdir()
    ...     Image.new("RGB", (8, 6)).save(Path(folder) / "color" / "0.jpg")
    ...     text = "8 0 4 0\n0 8 3 0\n0 0 1 0\n0 0 0 1"
    ...     _ = (Path(folder) / "intrinsic" / "intrinsic_color.txt").write_text(text)
    ...     ScannetReader(Path(folder))[0].camera.cx
    4.0
    """

    def __init__(self, folder: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        images = image_files(folder / "color")
        if not images:
            raise missing_part(folder, "no image in color/", "color/, depth/, pose/, intrinsic/")
        report.listed = len(images)
        note_no_times(report)
        depths = {path.stem: path for path in image_files(folder / "depth")}
        self._inner = folder / "intrinsic"
        calibration = layout_calibration(
            wanted,
            lambda: self._colour(image_size(images[0]), report),
            1000.0,
            "intrinsic_color.txt",
            images[0],
            report,
        )
        lens = calibration.lens or LensModel.of_pinhole(calibration.camera)
        self._cameras = self._pair(lens, depths, report)
        mount = self._extrinsic("color")
        files = []
        for image in images:
            depth = depths.get(image.stem)
            if depth is None:
                report.skip("missing depth image")
            pose = pose_of_file(folder / "pose" / f"{image.stem}.txt", report)
            pose = camera_pose(pose, mount, wanted.options)
            stamp_ns = stamp_of_number(number_of(image) or 0)
            known = depth if self._cameras is not None else None
            files.append(FrameFiles(stamp_ns, image, known, pose))
        super().__init__(folder.resolve().name, files, calibration, report, wanted)

    def _decode_depth(self, index: int, source: Path) -> tuple[npt.NDArray[np.float32], str]:
        assert self._cameras is not None  # else no frame has depth
        depth = read_depth(source, str(source), self._calibration.depth_factor)
        return self._cameras.registered(depth), f"depth image {source}"

    def _matrix(self, name: str) -> Matrix | None:
        path = self._inner / name
        if not path.is_file():
            return None
        rows = numbers_of(path, "intrinsics")
        values = [value for row in rows for value in row]
        side = {9: 3, 16: 4}.get(len(values), 0)
        if not side or not np.isfinite(values).all():
            raise DataError.from_parts(
                f"intrinsics {path}", f"{len(values)} numbers", "a 4x4 matrix", "export it again"
            )
        return np.array(values).reshape(side, side)

    def _extrinsic(self, kind: str) -> Matrix:
        """Return T_rig_camera; the identity where it is not there, as published."""
        try:
            found = self._matrix(f"extrinsic_{kind}.txt")
        except DataError:
            found = None
        transform = None if found is None else rigid(found)
        return np.eye(4) if transform is None else transform

    def _colour(self, size: tuple[int, int] | None, report: ReaderReport) -> LensModel:
        matrix = self._matrix("intrinsic_color.txt")
        if matrix is None or size is None:
            raise missing_part(
                self._inner.parent,
                "no intrinsic/intrinsic_color.txt",
                "a 4x4 matrix of the colour camera",
                f"export it with the images, or give {option('intrinsics', 'fx,fy,cx,cy')}",
            )
        wide = 2.0 * float(matrix[0, 2])
        if wide > 0.0 and abs(wide - size[0]) > 2 * _CENTRED * size[0]:
            # Images that were made smaller, and intrinsics that were not.
            scale = size[0] / wide
            matrix = np.diag([scale, size[1] / (2.0 * matrix[1, 2]), 1.0]) @ matrix[:3, :3]
            report.note(
                f"intrinsic_color.txt is for images about {wide:.0f} pixels wide; scaled to "
                f"{size[0]}x{size[1]}: if that is wrong, {option('intrinsics', 'fx,fy,cx,cy')}"
            )
        return lens_of_matrix(matrix, size)

    def _pair(
        self, colour: LensModel, depths: dict[str, Path], report: ReaderReport
    ) -> ScannetCameras | None:
        if not depths:
            report.note("no depth/: the frames have no depth")
            return None
        size = next(filter(None, (image_size(path) for path in depths.values())), None)
        try:
            matrix = self._matrix("intrinsic_depth.txt")
            if matrix is None or size is None:
                raise DepthError("there is no intrinsic_depth.txt")
            lens = lens_of_matrix(matrix, size)
        except (CameraError, DataError, DepthError) as problem:
            if size == (colour.width, colour.height):
                report.note(f"{problem}: depth of the images' size is taken as registered")
                return ScannetCameras(colour, colour, np.eye(4))
            report.note(f"not taken: depth/ ({problem}, and its size is not that of the images)")
            return None
        mount = np.linalg.inv(self._extrinsic("color")) @ self._extrinsic("depth")
        report.note(
            f"depth of {lens.width}x{lens.height} is registered to the colour camera of "
            f"{colour.width}x{colour.height}"
        )
        return ScannetCameras(colour, lens, mount)


def is_scannet_folder(path: Path) -> bool:
    """Return whether a folder is an export of ScanNet."""
    parts = (path / "color", path / "pose")
    return all(part.is_dir() for part in parts) and (
        (path / "intrinsic").is_dir() or (path / "depth").is_dir()
    )
