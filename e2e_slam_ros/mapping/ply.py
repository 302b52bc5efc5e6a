"""PLY files of the map: binary little endian, position, normal, colour, confidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.data.atomic import open_atomic
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

Records = npt.NDArray[np.void]

_VERTEX = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")),
        *((name, "u1") for name in ("red", "green", "blue")),
        ("confidence", "<f4"),
    ]
)
_TYPE_NAMES = {"f4": "float", "u1": "uchar"}
_MOST_DIGITS = 12

_FIRST_LINES = ("ply", "format binary_little_endian 1.0", "comment units metres, frame map")


def write_ply(path: str | Path, cloud: SurfelCloud) -> Path:
    """Write ``cloud`` and return the absolute path; the file appears whole or not at all.

    Raises:
        MapError: the folder is missing or read-only, or the disk is full.
    """
    vertices = np.empty(len(cloud), dtype=_VERTEX)
    for axis, name in enumerate("xyz"):
        vertices[name] = cloud.positions[:, axis]
        vertices[f"n{name}"] = cloud.normals[:, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        vertices[name] = cloud.colors[:, channel]
    vertices["confidence"] = cloud.confidence
    return write_records(path, ply_header(len(cloud), _VERTEX), vertices)


def read_ply(path: str | Path) -> SurfelCloud:
    """Read a file that `write_ply` wrote.

    Raises:
        MapError: missing, truncated, or not a map of ours.
    """
    vertices = read_records(
        path, "PLY", b"element vertex ", b"end_header\n", lambda n: ply_header(n, _VERTEX), _VERTEX
    )
    return SurfelCloud(
        positions=stack_fields(vertices, ("x", "y", "z")),
        normals=stack_fields(vertices, ("nx", "ny", "nz")),
        colors=stack_fields(vertices, ("red", "green", "blue")),
        confidence=vertices["confidence"].copy(),
    )


def is_own_ply(head: bytes) -> bool:
    """Return whether a file that begins so was written by this package."""
    return head.startswith("\n".join(_FIRST_LINES).encode())


def ply_header(count: int, vertex: np.dtype[np.void], *more: str) -> bytes:
    """Return a header for ``count`` records of type ``vertex``; ``more`` lines follow them."""
    lines = [*_FIRST_LINES, f"element vertex {count}"]
    for name in vertex.names or ():
        lines.append(f"property {_TYPE_NAMES[vertex[name].str[1:]]} {name}")
    return ("\n".join([*lines, *more, "end_header"]) + "\n").encode("ascii")


def write_records(path: str | Path, header: bytes, *tables: Records) -> Path:
    """Write a header and packed records after it; returns the absolute path.

    Raises:
        MapError: the file cannot be written; an older one stays as it was.
    """
    target = Path(path).expanduser().absolute()
    with open_atomic(target, MapError) as file:
        file.write(header)
        for table in tables:
            file.write(table.view(np.uint8).data)
    return target


def read_records(
    path: str | Path,
    kind: str,
    count_line: bytes,
    end: bytes,
    header_for: Callable[[int], bytes],
    record: np.dtype[np.void],
) -> Records:
    """Read one table from a file that `write_records` wrote.

    Args:
        path: the file.
        kind: name of the format, for messages.
        count_line: what the header's line with the number of records begins with.
        end: the header's last bytes.
        header_for: the header of a file with so many records.
        record: type of one record.

    Raises:
        MapError: missing, truncated, or not a map of ours.
    """
    source = Path(path).expanduser()
    try:
        content = source.read_bytes()
    except OSError as error:
        raise MapError.from_parts(
            f"map file {source}", error.strerror, "a readable file", "check the path"
        ) from error
    length = content.find(end) + len(end)
    count = _count(content[:length], count_line)
    if count is None or content[:length] != header_for(count):
        raise MapError.from_parts(
            f"map file {source}",
            "another kind of file",
            f"a {kind} map of this package",
            "check the path",
        )
    if len(content) - length != count * record.itemsize:
        raise MapError.from_parts(
            f"map file {source}",
            f"{len(content) - length} bytes of surfels",
            f"{count * record.itemsize}",
            "the file was cut off: save the map again",
        )
    return np.frombuffer(content, dtype=record, count=count, offset=length)


def stack_fields(records: Records, names: tuple[str, ...]) -> npt.NDArray[Any]:
    """Return (N, len(names)): fields of one type side by side."""
    return np.stack([records[name] for name in names], axis=1)


def _count(header: bytes, count_line: bytes) -> int | None:
    for line in header.splitlines():
        digits = line[len(count_line) :]
        if line.startswith(count_line) and digits.isdigit() and len(digits) <= _MOST_DIGITS:
            return int(digits)
    return None
