"""Map checkpoints: the whole map in one safetensors file, to go on from.

A file holds the surfels, what the refinement has learned, and the tracker's keyframes. Only
tensors and strings are read from it; nothing is unpickled. A hash over all of it is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.data.atomic import open_atomic
from e2e_slam_ros.mapping.checkpoint_hash import content_hash
from e2e_slam_ros.mapping.checks import FARTHEST_M
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.mapping.surfel_store import UNKNOWN_KEYFRAME, Surfels

_FORMAT = "e2e_slam_ros surfel map"
_VERSION = 3
# Version 1 had no ``keyframe`` and other names for two columns; version 2 had no hash and no
# keyframes of the tracker.
_READABLE = (1, 2, _VERSION)
_HASHED_SINCE = 3
_HASH = "sha256"
_NAMES_1 = {"created": "first_seen", "updated": "last_seen"}
_EXPECTED = f"a surfel checkpoint (.safetensors) of version 1 to {_VERSION}"
_FINITE = "finite values"
_NAMES = tuple(item.name for item in fields(Surfels))
# Prefixes of the tensors that the refinement learned while the map was made, and of the tracker's.
_LEARNED, _TRACKING = "learned.", "tracking."


@dataclass(frozen=True, eq=False)
class MapCheckpoint:
    """The content of a checkpoint.

    Attributes:
        surfels: (N,) of the map.
        fusions: the number of fusions that made them (`SurfelMap.keyframes`).
        learned: the state of the refinement (`DepthStage.state_dict`); may be empty. Whoever uses
            it checks it.
        tracking: the tracker's keyframes (`tracking.map_state`); empty where the poses came from
            elsewhere, or where the file is older. Whoever uses it checks it.

    Example:
        >>> checkpoint = MapCheckpoint(Surfels.empty(0, torch.device("cpu")), fusions=0)
        >>> len(checkpoint.surfels), checkpoint.tracking
        (0, {})
    """

    surfels: Surfels
    fusions: int
    learned: dict[str, torch.Tensor] = field(default_factory=dict)
    tracking: dict[str, torch.Tensor] = field(default_factory=dict)


def save_map(
    path: str | Path,
    surfels: Surfels,
    keyframes: int,
    learned: Mapping[str, torch.Tensor] | None = None,
    tracking: Mapping[str, torch.Tensor] | None = None,
) -> Path:
    """Write every attribute of (N,) surfels and return the absolute path.

    The file appears whole or not at all.

    Args:
        path: the file; missing folders are made.
        surfels: (N,).
        keyframes: the number of fusions (`SurfelMap.keyframes`).
        learned: the state of the refinement (`DepthStage.state_dict`), or None.
        tracking: the tracker's keyframes (`tracking.map_state`), or None.

    Raises:
        MapError: the folder is missing or read-only, or the disk is full.
    """
    target = Path(path).expanduser().absolute()
    columns = zip(_NAMES, surfels.columns(), strict=True)
    tensors = {name: column.cpu().contiguous() for name, column in columns}
    for prefix, more in ((_LEARNED, learned), (_TRACKING, tracking)):
        for name, value in (more or {}).items():
            tensors[prefix + name] = value.cpu().contiguous()
    metadata = {"format": _FORMAT, "version": str(_VERSION), "keyframes": str(keyframes)}
    content = save(tensors, metadata=metadata | {_HASH: content_hash(tensors, metadata)})
    with open_atomic(target, MapError) as file:
        file.write(content)
    return target


def is_checkpoint(head: bytes) -> bool:
    """Return whether a file that begins so was written by `save_map`."""
    return _FORMAT.encode() in head


def load_map(path: str | Path, surfel_map: SurfelMap) -> Path:
    """Replace the map by one that `save_map` wrote; returns the file's absolute path.

    Raises:
        MapError: missing, truncated, damaged, of another version, not ours, with values that no
            map has, or with more surfels than ``max_surfels``. The map is unchanged then.
    """
    checkpoint = read_checkpoint(path, surfel_map.config.max_surfels, surfel_map.device)
    surfel_map.restore(checkpoint.surfels, checkpoint.fusions)
    return Path(path).expanduser().absolute()


def read_checkpoint(
    path: str | Path, max_surfels: int, device: torch.device | None = None
) -> MapCheckpoint:
    """Return the content of a checkpoint; hash, surfels and their number are checked.

    `SurfelMap.restore` takes the surfels. The map may be in use while the file is read. The
    surfels come on ``device`` (None: the CPU) before the old map is dropped: a full GPU must not
    cost the map.

    Raises:
        MapError: as `load_map` does.
    """
    source = Path(path).expanduser().absolute()
    checkpoint = _read(source, max_surfels)
    _check_values(source, checkpoint.surfels, checkpoint.fusions)
    if device is None:
        return checkpoint
    columns = (column.to(device) for column in checkpoint.surfels.columns())
    return MapCheckpoint(
        Surfels(*columns), checkpoint.fusions, checkpoint.learned, checkpoint.tracking
    )


def _read(source: Path, max_surfels: int) -> MapCheckpoint:
    """Return the file's content, on the CPU, as it was saved."""
    try:
        with safe_open(source, framework="pt") as file:
            metadata = file.metadata() or {}
            version, fusions = _check_metadata(source, metadata)
            stored = _stored_names(version)
            names = sorted(name for name in file.keys() if not _is_extra(name))  # noqa: SIM118
            if names != sorted(stored.values()):
                found = ", ".join(names)
                raise _refusal(source, f"the columns {found}", ", ".join(stored.values()))
            shapes = {own: tuple(file.get_slice(name).get_shape()) for own, name in stored.items()}
            _check_shapes(source, shapes, max_surfels)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except MapError:
        raise
    except Exception as problem:  # the decoder's errors have no common root
        raise _unreadable(source, problem) from problem
    _check_hash(source, version, tensors, metadata)
    columns = {own: tensors[name] for own, name in stored.items()}
    for name, column in columns.items():
        dtype = getattr(_model(), name).dtype
        if column.dtype != dtype:
            raise _refusal(source, f"{column.dtype} in {stored[name]}", str(dtype))
    if "keyframe" not in columns:
        columns["keyframe"] = torch.full_like(columns["created"], UNKNOWN_KEYFRAME)
    learned, tracking = _under(_LEARNED, tensors), _under(_TRACKING, tensors)
    return MapCheckpoint(Surfels(**columns), fusions, learned, tracking)


def _is_extra(name: str) -> bool:
    return name.startswith((_LEARNED, _TRACKING))


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}


def _check_hash(
    source: Path, version: int, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> None:
    """Refuse content that is not what was saved."""
    given = metadata.get(_HASH)
    if given is None and version < _HASHED_SINCE:
        return
    others = {name: text for name, text in metadata.items() if name != _HASH}
    found = content_hash(tensors, others)
    if found != given:
        raise _refusal(
            source, f"content with the hash {found[:12]}", f"{str(given)[:12]}, the saved one"
        )


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
        raise _refusal(source, f"version {version!r}", f"version 1 to {_VERSION}", do)
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


def sound_surfels(surfels: Surfels, keyframes: int) -> torch.Tensor:
    """Return (N,) bool: the surfels whose values `read_checkpoint` takes."""
    sound = torch.ones(len(surfels), dtype=torch.bool, device=surfels.positions.device)
    for _, fits, _ in _rules(surfels, keyframes):
        sound &= fits
    return sound


def _check_values(source: Path, surfels: Surfels, keyframes: int) -> None:
    """Refuse values that no map holds or that would break one."""
    for name, fits, expected in _rules(surfels, keyframes):
        wrong = int((~fits).sum())
        if wrong and expected == _FINITE:
            raise _refusal(source, f"NaN or infinite values in {name}", expected)
        if wrong:
            raise _refusal(source, f"{wrong} values of {name} out of range", expected)


def _rules(surfels: Surfels, keyframes: int) -> Iterator[tuple[str, torch.Tensor, str]]:
    """Yield a column's name, (N,) whether its values are those of a map, and the rule in words."""
    for name, column in zip(_NAMES, surfels.columns(), strict=True):
        yield name, _all(torch.isfinite(column)), _FINITE
    created, updated = surfels.created, surfels.updated
    yield "positions", _all(surfels.positions.abs() < FARTHEST_M), f"within {FARTHEST_M:.0f} m"
    yield "normals", (surfels.normals.norm(dim=1) - 1.0).abs() < 1e-2, "unit length"
    yield "colors", _all((surfels.colors - 0.5).abs() < 0.51), "between 0 and 1"
    yield "confidence", surfels.confidence > 0, "above 0"
    yield "radius", surfels.radius > 0, "above 0"
    yield "created", (created >= 0) & (created <= updated), "between 0 and updated"
    yield "updated", updated <= keyframes, f"at most the {keyframes} fusions of the map"


def _all(fits: torch.Tensor) -> torch.Tensor:
    return fits if fits.ndim == 1 else fits.flatten(1).all(1)


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
    if is_checkpoint(head):
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
