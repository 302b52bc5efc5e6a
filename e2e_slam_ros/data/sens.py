"""ScanNet's recordings as they are downloaded: one .sens file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import FrameParts, PartsSequence, keep_complete
from e2e_slam_ros.data.images import read_color, read_counts, rectified
from e2e_slam_ros.data.layout import Wanted, layout_calibration, note_no_times, stamp_of_number
from e2e_slam_ros.data.pose_files import Matrix, camera_pose, rigid
from e2e_slam_ros.data.scannet_cameras import ScannetCameras, lens_of_matrix
from e2e_slam_ros.data.sens_header import COLOUR, DEPTH, VERSION, SensHeader, exactly
from e2e_slam_ros.geometry.lens_model import LensModel

# Before each frame: its pose, two times in microseconds, and the sizes of its images.
_HEAD = struct.Struct("<16fQQQQ")


class Span(NamedTuple):
    """Bytes of the file.

    >>> Span(100, 8).size
    8
    """

    start: int
    size: int


class SensReader(PartsSequence[Span]):
    """A .sens file of ScanNet: colour, depth, poses and both cameras.

    Depth is registered to the colour camera. The file stays closed between frames.

    Args:
        path: the file.

    Raises:
        DataError: not such a file, or one with no whole frame.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "scene.sens"
    ...     _ = file.write_bytes(b"no such file")
    ...     try:
    ...         SensReader(file)
    ...     except DataError as refusal:
    ...         print("refused:", "version" in str(refusal))
    refused: True
    """

    def __init__(self, path: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        super().__init__(path.stem, report, wanted.require_depth)
        self._path = path
        try:
            with path.open("rb") as stream:
                self._head = SensHeader.read(stream)
                entries = self._frames(stream, wanted, report)
        except (OSError, ValueError, struct.error) as problem:
            raise DataError.from_parts(
                f"recording {path}",
                problem,
                f"a .sens file of version {VERSION} with JPEG, PNG or raw images",
                "download it again",
            ) from problem
        head = self._head
        calibration = layout_calibration(
            wanted,
            lambda: lens_of_matrix(head.matrices[0], head.colour_size),
            head.factor,
            f"the head of {path.name}",
            head.colour_size,
            report,
        )
        self._factor = calibration.depth_factor
        self._camera = calibration.camera
        self._lens = calibration.lens or LensModel.of_pinhole(calibration.camera)
        self._cameras = self._pair(report)
        self._parts = keep_complete(
            self.name, entries, wanted.require_depth, wanted.require_pose, report
        )

    @property
    def image_words(self) -> str:
        """The images as they are stored, in words."""
        return f"rgb8 as {COLOUR[self._head.colour]}"

    @property
    def depth_words(self) -> str:
        """The depth as it is stored, with its unit, in words."""
        size = self._head.depth_size
        how = f"{DEPTH[self._head.depth]}, {size[0]}x{size[1]}"
        return f"16UC1 as {how}, {self._factor:g} counts a metre"

    def _pair(self, report: ReaderReport) -> ScannetCameras:
        head = self._head
        depth = layout_calibration(
            Wanted(),
            lambda: lens_of_matrix(head.matrices[2], head.depth_size),
            self._factor,
            f"the depth camera in {self._path.name}",
            head.depth_size,
            report,
        )
        mount = np.linalg.inv(_mount(head, 1)) @ _mount(head, 3)
        return ScannetCameras(self._lens, LensModel.of_pinhole(depth.camera), mount)

    def _frames(
        self, stream: BinaryIO, wanted: Wanted, report: ReaderReport
    ) -> list[FrameParts[Span]]:
        """Return the frames whose bytes are all in the file."""
        size = self._path.stat().st_size
        mount, rows = _mount(self._head, 1), []
        place = self._head.end
        report.listed = self._head.count
        for _ in range(min(self._head.count, size // _HEAD.size)):
            stream.seek(place)
            head = stream.read(_HEAD.size)
            if len(head) < _HEAD.size:
                break
            *matrix, colour_us, _, colour_bytes, depth_bytes = _HEAD.unpack(head)
            start = place + _HEAD.size
            place = start + colour_bytes + depth_bytes
            if place > size:
                break
            pose = rigid(matrix)
            if pose is None:
                report.skip("pose not finite or not rigid")
            depth = Span(start + colour_bytes, depth_bytes) if depth_bytes else None
            rows.append((colour_us, Span(start, colour_bytes), depth, pose))
        if len(rows) < self._head.count:
            report.skip("frame that the file does not hold", self._head.count - len(rows))
        stamps = _stamps([row[0] for row in rows], report)
        return [
            FrameParts(stamp_ns, colour, depth, camera_pose(pose, mount, wanted.options))
            for stamp_ns, (_, colour, depth, pose) in zip(stamps, rows, strict=True)
        ]

    def _bytes(self, span: Span) -> bytes:
        try:
            with self._path.open("rb") as stream:
                stream.seek(span.start)
                return exactly(stream, span.size)
        except (OSError, ValueError) as problem:
            raise DataError.from_parts(
                f"recording {self._path}", problem, "the bytes listed", "copy it again"
            ) from problem

    def _decode_image(self, index: int, source: Span) -> tuple[npt.NDArray[np.uint8], str]:
        what = f"image {index} of {self._path.name}"
        content = self._bytes(source)
        if COLOUR[self._head.colour] == "raw":
            width, height = self._head.colour_size
            image = _raw(content, np.uint8, (height, width, 3), what)
        else:
            image = read_color(content, what)
        return rectified(image, self._lens, what), what

    def _decode_depth(self, index: int, source: Span) -> tuple[npt.NDArray[np.float32], str]:
        what = f"depth image {index} of {self._path.name}"
        width, height = self._head.depth_size
        content = self._bytes(source)
        if content.startswith(b"\x89PNG"):
            counts = read_counts(content, what)
        else:
            if DEPTH[self._head.depth] == "zlib":
                content = _inflated(content, 2 * width * height, what)
            counts = _raw(content, np.uint16, (height, width), what)
        metres = counts.astype(np.float32) / np.float32(self._factor)
        return self._cameras.registered(metres), what


def is_sens_file(path: Path) -> bool:
    """Return whether a path is a .sens file, by its suffix.

    >>> is_sens_file(Path("scene0000_00.txt"))
    False
    """
    return path.suffix.lower() == ".sens" and path.is_file()


def _mount(head: SensHeader, place: int) -> Matrix:
    """Return T_rig_camera; the identity where the file's is no rigid motion."""
    found = rigid(head.matrices[place])
    return np.eye(4) if found is None else found


def _stamps(micros: list[int], report: ReaderReport) -> list[int]:
    """Return nanoseconds of the file's times, or made-up ones where it has none."""
    good = bool(micros) and micros[0] > 0 and max(micros) < 2**63 // 1000
    if good and all(a < b for a, b in zip(micros, micros[1:], strict=False)):
        return [value * 1000 for value in micros]
    note_no_times(report)
    return [stamp_of_number(number) for number in range(len(micros))]


def _raw(content: bytes, kind: type, shape: tuple[int, ...], what: str) -> npt.NDArray[Any]:
    expected = int(np.prod(shape)) * np.dtype(kind).itemsize
    if len(content) != expected:
        raise DataError.from_parts(
            what, f"{len(content)} bytes", f"{expected} bytes", "download the file again"
        )
    return np.frombuffer(content, dtype=kind).reshape(shape)


def _inflated(content: bytes, most: int, what: str) -> bytes:
    """Return unpacked bytes, at most as many as the image has."""
    try:
        return zlib.decompressobj().decompress(content, most)
    except zlib.error as problem:
        raise DataError.from_parts(
            what, problem, "depth packed by zlib", "download the file again"
        ) from problem
