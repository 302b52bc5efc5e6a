"""Files of rendered views: plain arrays, bound to the configuration that they were made with."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.atomic import write_bytes_atomic
from e2e_slam_ros.data.damaged_arrays import DAMAGED_ARRAYS
from e2e_slam_ros.simulation.furniture_file import furniture_digest

Stored = TypeVar("Stored")
Settings = TypeVar("Settings")

# Settings that choose rooms and where they are kept, and do not change their pictures.
_SELECTION = ("weight", "rooms", "first_seed", "cache")
# Settings that change nothing without an archive of furniture.
_FURNITURE = ("furniture", "furnished_share", "close_share")


@dataclass(frozen=True, eq=False)
class RenderedFile(Generic[Stored, Settings]):
    """How the items of one room are kept in one file.

    Attributes:
        kind: frozen dataclass of arrays, one for each item.
        name: what the file holds, for messages and as the beginning of its name.
        recipe: changes whenever the same configuration would give other pictures.
        count: number of items of a room.
        check: raises ValueError where an item's arrays have other shapes or types.
        stored_as: names in the file of fields that have another one there.

    >>> from e2e_slam_ros.training.data.config import ProceduralConfig
    >>> @dataclass(frozen=True)
    ... class Row:
    ...     value: npt.NDArray[np.float64]
    >>> rows = RenderedFile(Row, "rows", "rows 1", lambda config: 1, lambda row, config: None)
    >>> few, many = (ProceduralConfig(rooms=count) for count in (3, 4))
    >>> rows.path(Path(), few, 7) == rows.path(Path(), many, 7)
    True
    """

    kind: type[Stored]
    name: str
    recipe: str
    count: Callable[[Settings], int]
    check: Callable[[Stored, Settings], None]
    stored_as: Mapping[str, str] = field(default_factory=dict)

    def path(self, folder: Path, config: Settings, seed: int) -> Path:
        """Return where a room is kept: rooms of other configurations have other names."""
        return folder / f"{self.name}_{fingerprint(config, self.recipe)}_{seed}.npz"

    def write(self, path: Path, config: Settings, seed: int, items: Sequence[Stored]) -> None:
        """Write a room's items, all of them or nothing.

        Raises:
            DataError: the folder cannot be written, the disk is full.
        """
        arrays: dict[str, npt.NDArray[np.generic]] = {"key": self._key(config, seed)}
        for index, item in enumerate(items):
            for name, stored in self._names(index).items():
                arrays[stored] = getattr(item, name)
        write_arrays(path, arrays)

    def read(self, path: Path, config: Settings, seed: int, index: int) -> Stored:
        """Return one item of a room; only its part of the file is read.

        Raises:
            TrainingError: missing, damaged, or of another configuration or seed.
        """
        expected = "a room rendered with this configuration"
        with damage_refused(f"{self.name} {path}", expected):
            with np.load(path, allow_pickle=False) as arrays:
                if not np.array_equal(arrays["key"], self._key(config, seed)):
                    raise ValueError("a room of another configuration")
                item = self.kind(*(arrays[stored] for stored in self._names(index).values()))
            self.check(item, config)
        return item

    def is_complete(self, path: Path, config: Settings, seed: int) -> bool:
        """Return whether a file looks like that room; pictures are checked when they are read."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                wanted = {f"image_{index}" for index in range(self.count(config))}
                same = np.array_equal(arrays["key"], self._key(config, seed))
                return bool(same) and wanted <= set(arrays.files)
        except DAMAGED_ARRAYS:
            return False

    def _names(self, index: int) -> dict[str, str]:
        """Return the name of each array in the file by its field, in the order of the fields."""
        names = [item.name for item in fields(self.kind)]  # type: ignore[arg-type]
        return {name: f"{self.stored_as.get(name, name)}_{index}" for name in names}

    def _key(self, config: Settings, seed: int) -> npt.NDArray[np.uint8]:
        # Bytes, because NumPy keeps texts as wide characters of the longest one's length.
        text = f"{fingerprint(config, self.recipe)} {seed}"
        return np.frombuffer(text.encode(), dtype=np.uint8)


def fingerprint(config: Any, recipe: str) -> str:
    """Return 12 hexadecimal digits that tell configurations of different pictures apart.

    An archive of furniture counts by what it holds.

    Raises:
        DataError: the archive cannot be read.
    """
    told = {key: value for key, value in asdict(config).items() if key not in _SELECTION}
    archive = told.get("furniture")
    if archive:
        told["furniture"] = furniture_digest(archive)
    else:
        told = {key: value for key, value in told.items() if key not in _FURNITURE}
    return hashlib.sha256(f"{recipe} {sorted(told.items())}".encode()).hexdigest()[:12]


def check_views(item: Any, size: tuple[int, int, int]) -> None:
    """Refuse arrays of views that cannot be those of a configuration.

    Args:
        item: has image, depth, T_map_camera and intrinsics.
        size: number of views, height, width.

    Raises:
        ValueError: another shape or type, or a pose that is not finite.
    """
    right = (
        item.image.shape == (*size, 3)
        and item.image.dtype == np.uint8
        and item.depth.shape == size
        and item.depth.dtype == np.uint16
        and item.T_map_camera.shape == (size[0], 4, 4)
        and item.intrinsics.shape == (3, 3)
        and bool(np.isfinite(item.T_map_camera).all())
    )
    if not right:
        raise ValueError(f"arrays {item.image.shape} {item.depth.shape}")


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Write arrays by name, all of them or nothing.

    Raises:
        DataError: the folder cannot be written, the disk is full.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes_atomic(path, buffer.getvalue())


@contextmanager
def damage_refused(what: str, expected: str) -> Iterator[None]:
    """Turn whatever damaged bytes raise into a refusal.

    Raises:
        TrainingError: ``what`` could not be read.
    """
    try:
        yield
    except DAMAGED_ARRAYS as problem:
        raise TrainingError.from_parts(
            what,
            str(problem) or type(problem).__name__,
            expected,
            "delete the file; it is rendered again when it is missing",
        ) from problem


def cache_folder(configured: str, kind: str) -> Path:
    """Return the folder that keeps rendered files: the configured one, or the user's cache.

    >>> cache_folder("renders", "rooms").name
    'renders'
    """
    if configured:
        return Path(configured).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "e2e_slam_ros" / kind
