"""The folder that a run saves its maps in."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.data.atomic import write_error
from e2e_slam_ros.mapping.map_files import check_suffix, is_map_file

# What `open_atomic` calls a file that it has not finished.
_PARTIAL = re.compile(r"\.(?P<name>.+)\.(?P<writer>\d+)\.\d+\.partial$")

_PARAMETER = "parameter runtime.map_file"


def output_folder(given: str) -> Path:
    """Return the folder ``given``, absolute; for "" a new one below ``~/.ros/e2e_slam``.

    ``ROS_HOME`` replaces ``~/.ros``, as it does for ROS's own logs.
    """
    if given:
        return Path(given).expanduser().absolute()
    home = Path(os.environ.get("ROS_HOME") or "~/.ros").expanduser().absolute()
    return home / "e2e_slam" / time.strftime("%Y%m%d-%H%M%S")


class MapFolder:
    """A folder of map files, in which no older file is lost.

    A file that this run wrote is replaced. A map of an earlier run is kept under a name with a
    number (``map.1.ply``). Any other file is left alone, and so is a link: the save is refused.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = MapFolder(Path(place))
    ...     target = folder.file("map.ply")
    ...     _ = target.write_text("somebody's notes")
    ...     try:
    ...         folder.make_room(target)
    ...     except MapError as error:
    ...         print("refused:", "somebody" in target.read_text())
    refused: True
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # What this run wrote or loaded, as it was then.
        self._own: dict[Path, tuple[int, int]] = {}

    def file(self, name: str, what: str = _PARAMETER) -> Path:
        """Return the path of a map file in the folder.

        Args:
            what: where the name comes from, for the error.

        Raises:
            MapError: not a plain file name, or a suffix without a writer.
        """
        check_name(name, what)
        return self.path / name

    def make_room(self, *targets: Path) -> None:
        """Make the folder; keep the older maps that are in the way.

        Raises:
            MapError: there is a link, or a file that is no map of this package; or the folder
                cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._remove_partial({target.name for target in targets})
            older = [target for target in targets if self._is_older(target)]
            if older:
                self._keep(older, targets)
        except OSError as problem:
            raise write_error(targets[0], problem, MapError) from problem

    def own(self, path: Path) -> None:
        """Record that a file is of this run: written by it, or loaded into its map."""
        with suppress(OSError):
            self._own[path] = _identity(path)

    def disown(self) -> None:
        """Treat what was written so far like files of an earlier run: the map was reset."""
        self._own.clear()

    def remove(self, path: Path) -> None:
        """Remove a file if this run wrote it."""
        with suppress(OSError):
            if self._own.pop(path, None) == _identity(path):
                path.unlink()

    def _is_older(self, target: Path) -> bool:
        """Return whether a map of an earlier run is there.

        Raises:
            MapError: something else is there.
        """
        if not os.path.lexists(target):
            return False
        if not target.is_symlink() and target.is_file():
            if self._own.get(target) == _identity(target):
                return False
            if is_map_file(target):
                return True
        raise MapError.from_parts(
            f"writing {target}",
            "a link" if target.is_symlink() else "something that is no map of this package",
            "no file, or an older map",
            "choose another runtime.map_file",
        )

    def _keep(self, older: list[Path], targets: tuple[Path, ...]) -> None:
        """Give older maps a second name; the write that follows takes the first one away.

        Until then the first name stays: a write may fail.
        """
        number = 1
        while any(os.path.lexists(_numbered(target, number)) for target in targets):
            if all(_is_same(target, _numbered(target, number)) for target in older):
                return
            number += 1
        for target in older:
            try:
                os.link(target, _numbered(target, number))
            except OSError:  # a file system without links
                os.rename(target, _numbered(target, number))

    def _remove_partial(self, names: set[str]) -> None:
        """Remove what a killed process left half written."""
        for path in self.path.glob(".*.partial"):
            match = _PARTIAL.match(path.name)
            if match and match["name"] in names and not _alive(int(match["writer"])):
                path.unlink(missing_ok=True)


def check_name(name: str, what: str = _PARAMETER) -> None:
    """Raise `MapError` unless ``name`` is a plain file name with the suffix of a map."""
    plain = name == Path(name).name and not name.startswith(".") and "\\" not in name
    if not plain or "\0" in name or len(name) > 200:
        raise MapError.from_parts(
            what,
            repr(name[:200]),
            "a file name without folders",
            "the folder is runtime.output, set at the start",
        )
    check_suffix(Path(name))


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def _is_same(path: Path, other: Path) -> bool:
    return os.path.lexists(other) and os.path.samestat(os.lstat(path), os.lstat(other))


def _identity(path: Path) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_ino, status.st_mtime_ns


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
