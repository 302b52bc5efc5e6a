"""PLY files of the map: binary little endian, position, normal, colour, confidence."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.errors import MapError
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

_VERTEX = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")),
        *((name, "u1") for name in ("red", "green", "blue")),
        ("confidence", "<f4"),
    ]
)
_TYPE_NAMES = {"f4": "float", "u1": "uchar"}


def _header(count: int) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", "comment units metres, frame map"]
    lines.append(f"element vertex {count}")
    for name in _VERTEX.names or ():
        lines.append(f"property {_TYPE_NAMES[_VERTEX[name].str[1:]]} {name}")
    return ("\n".join([*lines, "end_header"]) + "\n").encode("ascii")


def write_ply(path: str | Path, cloud: SurfelCloud) -> Path:
    """Write ``cloud`` and return the absolute path; the file appears whole or not at all.

    Raises:
        MapError: the folder is missing or read-only, or the disk is full.
    """
    target = Path(path).expanduser().absolute()
    vertices = np.empty(len(cloud), dtype=_VERTEX)
    for axis, name in enumerate("xyz"):
        vertices[name] = cloud.positions[:, axis]
        vertices[f"n{name}"] = cloud.normals[:, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        vertices[name] = cloud.colors[:, channel]
    vertices["confidence"] = cloud.confidence
    partial = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(_header(len(cloud)))
            vertices.tofile(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, target)
    except OSError as error:
        if partial and os.path.exists(partial):
            os.unlink(partial)
        raise MapError.from_parts(
            f"map file {target}",
            error.strerror or str(error),
            f"a folder that can be written, with room for {vertices.nbytes / 1e6:.0f} MB",
            "choose another folder or free some space; the map in memory is unchanged",
        ) from error
    return target


def read_ply(path: str | Path) -> SurfelCloud:
    """Read a file that `write_ply` wrote.

    Raises:
        MapError: missing, truncated, or not a map of ours.
    """
    source = Path(path)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise MapError.from_parts(
            f"map file {source}", error.strerror, "a readable file", "check the path"
        ) from error
    end = content.find(b"end_header\n") + len(b"end_header\n")
    count = _vertex_count(content[:end])
    if count is None or content[:end] != _header(count):
        raise MapError.from_parts(
            f"map file {source}",
            "another kind of file",
            "a PLY map of this package",
            "check the path",
        )
    if len(content) - end != count * _VERTEX.itemsize:
        raise MapError.from_parts(
            f"map file {source}",
            f"{len(content) - end} bytes of surfels",
            f"{count * _VERTEX.itemsize}",
            "the file was cut off: save the map again",
        )
    vertices = np.frombuffer(content, dtype=_VERTEX, count=count, offset=end)
    return SurfelCloud(
        positions=_stack(vertices, ("x", "y", "z")),
        normals=_stack(vertices, ("nx", "ny", "nz")),
        colors=_stack(vertices, ("red", "green", "blue")),
        confidence=vertices["confidence"].copy(),
    )


def _stack(vertices: npt.NDArray[np.void], names: tuple[str, ...]) -> npt.NDArray[Any]:
    return np.stack([vertices[name] for name in names], axis=1)


def _vertex_count(header: bytes) -> int | None:
    for line in header.splitlines():
        if line.startswith(b"element vertex ") and line[15:].isdigit():
            return int(line[15:])
    return None
