"""The files of a recording, opened with `rosbags`; what is damaged in one costs only that one."""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import ReaderReport

SUFFIXES = (".bag", ".mcap", ".db3")
PACKED = (".zstd", ".zst")
# `rosbags` brings one of them; Python has the first from 3.14 on.
ZSTD_LIBRARIES = ("compression.zstd", "backports.zstd", "zstandard")
_CHUNK = 1 << 20
# Recordings shrink to a tenth or so. What grows more than this is no recording.
_MOST_GROWTH = 2000
_DISK_LEFT = 1 << 30
_TRANSFORMS = "geometry_msgs/TransformStamped[] transforms"
# What the standard types of `rosbags` lack.
_EXTRA_TYPES = {
    "tf2_msgs/msg/TFMessage": _TRANSFORMS,
    "tf/msg/tfMessage": _TRANSFORMS,
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket": "std_msgs/Header header\nint32 width\n"
    "int32 height\nstring encoding\nuint64 pts\nuint8 flags\nbool is_bigendian\nuint8[] data",
    "foxglove_msgs/msg/CompressedVideo": "builtin_interfaces/Time timestamp\nstring frame_id\n"
    "uint8[] data\nstring format",
}


class BagStorage:
    """All readable files of a recording as one.

    Standard message types are decoded by their standard definitions, which are the same in every
    ROS 2 distribution. Damaged, empty or unknown definitions of other topics therefore cost
    nothing.

    Raises:
        DataError: not a recording, or nothing of it can be opened.

    >>> import tempfile
    >>> from rosbags.rosbag2 import Writer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Writer(Path(folder) / "run", version=9):
    ...         pass
    ...     storage = BagStorage(Path(folder) / "run", ReaderReport())
    ...     storage.close()
    >>> storage.is_ros2
    True
    """

    def __init__(self, path: Path, report: ReaderReport) -> None:
        self._stack = ExitStack()
        self._report = report
        self.path = path
        self.readers: list[Any] = []
        try:
            self._open(path)
        except BaseException:
            self.close()
            raise
        self.is_ros2 = not any(isinstance(reader, Ros1Reader) for reader in self.readers)
        self._types = get_typestore(Stores.ROS2_HUMBLE if self.is_ros2 else Stores.ROS1_NOETIC)
        for name, definition in _EXTRA_TYPES.items():
            if name not in self._types.types:
                self._types.register(get_types_from_msg(definition, name))

    @property
    def connections(self) -> list[Any]:
        """Connections of all files: topic, msgtype, msgcount."""
        return [connection for reader in self.readers for connection in reader.connections]

    @property
    def seconds(self) -> float:
        """Time from the first message to the last."""
        known = [reader for reader in self.readers if reader.connections]
        if not known:
            return 0.0
        start = min(reader.start_time for reader in known)
        return max(0.0, (max(reader.end_time for reader in known) - start) * 1e-9)

    def close(self) -> None:
        """Release the files."""
        self._stack.close()

    def messages(
        self, connections: list[Any], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Any, int, bytes]]:
        """Yield (connection, recorded_ns, bytes) in the order of recording."""
        streams = []
        for reader in self.readers:
            own = [c for c in connections if c in reader.connections]
            # For `rosbags` an empty selection means every topic.
            if own:
                streams.append(reader.messages(own, start, stop))
        return heapq.merge(*streams, key=lambda item: item[1])

    def deserialize(self, raw: bytes, kind: str) -> Any:
        """Return a message of a standard type.

        Raises:
            Exception: whatever `rosbags` raises for damaged bytes or an unknown type.
        """
        if self.is_ros2:
            return self._types.deserialize_cdr(raw, kind)
        return self._types.deserialize_ros1(raw, kind)

    def knows(self, kind: str) -> bool:
        """Return whether messages of a type can be decoded."""
        return kind in self._types.types

    def _open(self, path: Path) -> None:
        if path.is_dir():
            self._open_folder(path)
            return
        try:
            self.readers.append(self._reader(path))
        except DataError:
            raise
        except Exception as problem:  # a parser of damaged bytes may raise anything
            raise _no_recording(path, problem) from problem

    def _open_folder(self, folder: Path) -> None:
        """Open by metadata.yaml, or file by file where that cannot be used."""
        files = storage_files(folder)
        problem: Exception | None = None
        packed = any(file.suffix in PACKED for file in files)
        if (folder / "metadata.yaml").is_file() and not packed:
            try:
                reader = self._entered(Ros2Reader(folder))
                _check_counts(reader.connections)
                self.readers.append(reader)
                return
            except Exception as error:  # as above
                problem = error
                self._report.note(
                    f"metadata.yaml cannot be used ({error}); its files are opened by suffix"
                )
        for file in files:
            try:
                self.readers.append(self._reader(file))
            except Exception as error:  # as above
                problem = error
                self._report.skip("file of the recording that cannot be read")
                self._report.note(f"{file.name} cannot be read: {error}")
        if not self.readers:
            raise _no_recording(folder, problem or "no .mcap, .db3 or .bag file in it")

    def _reader(self, file: Path) -> Any:
        if file.suffix in PACKED:
            file = self._unpacked(file)
        if file.suffix == ".bag":
            return self._entered(Ros1Reader(file))
        return self._entered(Ros2Reader(file))

    def _entered(self, reader: Any) -> Any:
        reader.open()
        self._stack.callback(_closed, reader)
        return reader

    def _unpacked(self, file: Path) -> Path:
        """Return the content of a zstd file, in a temporary folder that lives as long as this.

        Raises:
            DataError: it is damaged, or it grows too large.
        """
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="e2e_slam_bag_")))
        target = folder / file.stem
        free = shutil.disk_usage(folder).free - _DISK_LEFT
        limit = min(free, file.stat().st_size * _MOST_GROWTH)
        size = 0
        with _zstd_open(file) as source, target.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise DataError.from_parts(
                        f"recording {file}",
                        f"more than {limit >> 20} MiB when unpacked",
                        "what fits on the disk, and grows less than a compressed bomb",
                        "unpack it with zstd -d and give the result",
                    )
                sink.write(chunk)
        return target


def storage_files(folder: Path) -> list[Path]:
    """Return the storage files of a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if is_storage(path))


def is_storage(path: Path) -> bool:
    """Return whether a file is a recording by its suffix, packed or not.

    >>> is_storage(Path("run.mcap.zstd")), is_storage(Path("run.txt"))
    (True, False)
    """
    return Path(path.stem if path.suffix in PACKED else path.name).suffix in SUFFIXES


def _check_counts(connections: list[Any]) -> None:
    """Raise ValueError if metadata gives a topic or a count that is none."""
    for connection in connections:
        topic, count = connection.topic, connection.msgcount
        if not isinstance(topic, str) or not isinstance(count, int) or count < 0:
            raise ValueError(f"topic {topic!r} with {count!r} messages")


def _closed(reader: Any) -> None:
    with suppress(Exception):
        reader.close()


def _zstd_open(file: Path) -> IO[bytes]:
    """Open with the library that `rosbags` itself uses; which one depends on its version."""
    for name in ZSTD_LIBRARIES:
        try:
            opened: IO[bytes] = import_module(name).open(file, "rb")
            return opened
        except ImportError:
            continue
    raise DataError.from_parts(
        f"recording {file}",
        "no zstd library",
        f"one of {', '.join(ZSTD_LIBRARIES)}",
        "pip install backports.zstd, or unpack it with zstd -d",
    )


def _no_recording(path: Path, problem: object) -> DataError:
    words = problem if isinstance(problem, str) else f"{type(problem).__name__}: {problem}"
    return DataError.from_parts(
        f"recording {path}",
        words,
        "a rosbag2 folder (sqlite3 or mcap), an .mcap, .db3 or ROS 1 .bag file",
        "check the path; 'ros2 bag reindex' repairs recordings that were cut off",
    )
