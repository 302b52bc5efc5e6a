"""Surfel checkpoints: the whole map in one safetensors file, to go on mapping from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.data.atomic import open_atomic
from e2e_slam_ros.mapping.checks import FARTHEST_M
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.mapping.surfel_store import UNKNOWN_KEYFRAME, Surfels

_FORMAT = "e2e_slam_ros surfel map"
_VERSION = 2
# Version 1 had no ``keyframe`` and other names for two columns.
_READABLE = (1, _VERSION)
_NAMES_1 = {"created": "first_seen", "updated": "last_seen"}
_EXPECTED = f"a surfel checkpoint (.safetensors) of version 1 or {_VERSION}"
_NAMES = tuple(item.name for item in fields(Surfels))
# Prefix of the tensors that the refinement learned while the map was made.
_LEARNED = "learned."


def save_map(
    path: str | Path,
    surfels: Surfels,
    keyframes: int,
    learned: Mapping[str, torch.Tensor] | None = None,
) -> Path:
    """Write every attribute of (N,) surfels and return the absolute path.

    The file appears whole or not at all.

    Args:
        path: the file; missing folders are made.
        surfels: (N,).
        keyframes: the number of fusions (`SurfelMap.keyframes`).
        learned: the state of the refinement (`Adaptation.state_dict`), or None.

    Raises:
        MapError: the folder is missing or read-only, or the disk is full.
    """
    target = Path(path).expanduser().absolute()
    columns = zip(_NAMES, surfels.columns(), strict=True)
    tensors = {name: column.cpu().contiguous() for name, column in columns}
    for name, value in (learned or {}).items():
        tensors[_LEARNED + name] = value.cpu().contiguous()
    content = save(
        tensors,
        metadata={"format": _FORMAT, "version": str(_VERSION), "keyframes": str(keyframes)},
    )
    with open_atomic(target, MapError) as file:
        file.write(content)
    return target


def load_map(path: str | Path, surfel_map: SurfelMap) -> Path:
    """Replace the map by one that `save_map` wrote; returns the file's absolute path.

    Raises:
        MapError: missing, truncated, of another version, not ours, with values that no map
            has, or with more surfels than ``max_surfels``. The map is unchanged then.
    """
    surfels, keyframes = read_map(path, surfel_map.config.max_surfels, surfel_map.device)
    surfel_map.restore(surfels, keyframes)
    return Path(path).expanduser().absolute()


def read_map(
    path: str | Path, max_surfels: int, device: torch.device | None = None
) -> tuple[Surfels, int]:
    """Return the (N,) surfels of a checkpoint, checked, and the keyframes that made them.

    `SurfelMap.restore` takes both. The map may be in use while the file is read. The surfels
    come on ``device`` (None: the CPU) before the old map is dropped: a full GPU must not cost the
    map.

    Raises:
        MapError: as `load_map` does.
    """
    source = Path(path).expanduser().absolute()
    surfels, keyframes = _read(source, max_surfels)
    _check_values(source, surfels, keyframes)
    if device is not None:
        surfels = Surfels(*(column.to(device) for column in surfels.columns()))
    return surfels, keyframes


def read_learned(path: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors that the refinement had learned; empty if there are none.

    Raises:
        MapError: the file cannot be read. The caller checks the tensors.
    """
    source = Path(path).expanduser().absolute()
    try:
        with safe_open(source, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(_LEARNED)]  # noqa: SIM118
            return {name.removeprefix(_LEARNED): file.get_tensor(name) for name in names}
    except Exception as problem:  # the decoder's errors have no common root
        raise _unreadable(source, problem) from problem


def _read(source: Path, max_surfels: int) -> tuple[Surfels, int]:
    """Return the file's surfels, on the CPU, and the number of fusions that made them."""
    try:
        with safe_open(source, framework="pt") as file:
            version, keyframes = _check_metadata(source, file.metadata() or {})
            stored = _stored_names(version)
            names = sorted(name for name in file.keys() if not name.startswith(_LEARNED))  # noqa: SIM118
            if names != sorted(stored.values()):
                found = ", ".join(names)
                raise _refusal(source, f"the columns {found}", ", ".join(stored.values()))
            shapes = {own: tuple(file.get_slice(name).get_shape()) for own, name in stored.items()}
            _check_shapes(source, shapes, max_surfels)
            columns = {own: file.get_tensor(name) for own, name in stored.items()}
    except MapError:
        raise
    except Exception as problem:  # the decoder's errors have no common root
        raise _unreadable(source, problem) from problem
    for name, column in columns.items():
        dtype = getattr(_model(), name).dtype
        if column.dtype != dtype:
            raise _refusal(source, f"{column.dtype} in {stored[name]}", str(dtype))
    if "keyframe" not in columns:
        columns["keyframe"] = torch.full_like(columns["created"], UNKNOWN_KEYFRAME)
    return Surfels(**columns), keyframes


def _stored_names(version: int) -> dict[str, str]:
    """Return the columns that a file of a version holds, and their names there."""
    if version == 1:
        return {name: _NAMES_1.get(name, name) for name in _NAMES if name != "keyframe"}
    return {name: name for name in _NAMES}


def _check_metadata(source: Path, metadata: dict[str, str]) -> tuple[int, int]:
    """Return version and number of fusions; refuse files of other kinds and versions."""
    if metadata.get("format") != _FORMAT:
        raise _refusal(source, "another kind of file", _EXPECTED, "give a file saved by save_map")
    version = metadata.get("version", "")
    if version not in map(str, _READABLE):
        do = "save the map again with this version of the package, or load it with the other one"
        raise _refusal(source, f"version {version!r}", f"version 1 or {_VERSION}", do)
    count = metadata.get("keyframes", "")
    # The map numbers fusions in int32.
    if not (count.isascii() and count.isdigit() and len(count) < 11 and int(count) < 2**31):
        raise _refusal(source, f"{count[:20]!r} keyframes", "a whole number below 2^31")
    return int(version), int(count)


def _check_shapes(source: Path, shapes: dict[str, tuple[int, ...]], max_surfels: int) -> None:
    count = shapes["positions"][0] if shapes["positions"] else 0
    for name, shape in shapes.items():
        expected = (count, *getattr(_model(), name).shape[1:])
        if shape != expected:
            raise _refusal(source, f"shape {shape} of {name}", str(expected))
    if count > max_surfels:
        do = f"raise map.max_surfels to {count} or more; the map in memory is unchanged"
        raise _refusal(source, f"{count} surfels", f"at most map.max_surfels = {max_surfels}", do)


def _check_values(source: Path, surfels: Surfels, keyframes: int) -> None:
    """Refuse values that no map holds or that would break one."""
    for name, column in zip(_NAMES, surfels.columns(), strict=True):
        if not bool(torch.isfinite(column).all()):
            raise _refusal(source, f"NaN or infinite values in {name}", "finite values")
    created, updated = surfels.created, surfels.updated
    for name, fits, expected in (
        ("positions", surfels.positions.abs() < FARTHEST_M, f"within {FARTHEST_M:.0f} m"),
        ("normals", (surfels.normals.norm(dim=1) - 1.0).abs() < 1e-2, "unit length"),
        ("colors", (surfels.colors - 0.5).abs() < 0.51, "between 0 and 1"),
        ("confidence", surfels.confidence > 0, "above 0"),
        ("radius", surfels.radius > 0, "above 0"),
        ("created", (created >= 0) & (created <= updated), "between 0 and updated"),
        ("updated", updated <= keyframes, f"at most the {keyframes} fusions of the map"),
    ):
        wrong = int((~fits).sum())
        if wrong:
            raise _refusal(source, f"{wrong} values of {name} out of range", expected)


def _model() -> Surfels:
    """Return no surfels: their columns' types and shapes are what a file must have."""
    return Surfels.empty(0, torch.device("cpu"))


def _unreadable(source: Path, problem: Exception) -> MapError:
    """Return the refusal for a file that the decoder does not get through."""
    try:
        with source.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        return _refusal(source, error.strerror or error, "a readable file", "check the path")
    if _FORMAT.encode() in head:
        do = "the file was cut off or damaged: use another copy or save the map again"
        return _refusal(source, f"a part of a file ({problem})", _EXPECTED, do)
    return _refusal(source, "another kind of file", _EXPECTED, "give a file saved by save_map")


def _refusal(
    source: Path,
    got: object,
    expected: str,
    do: str = "the file is damaged or was not written by this package: use another copy",
) -> MapError:
    return MapError.from_parts(f"map file {source}", got, expected, do)
