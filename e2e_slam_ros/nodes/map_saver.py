"""The map as files: saved, loaded, and kept while it grows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import MapError
from e2e_slam_ros.mapping.map_checkpoint import MapCheckpoint, read_checkpoint, sound_surfels
from e2e_slam_ros.mapping.map_files import CHECKPOINT, check_surfels, save
from e2e_slam_ros.mapping.map_folder import MapFolder
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.mapping.surfel_store import Surfels
from e2e_slam_ros.slam.loaded_map import read_loaded, restore
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.worker import KeyframeWorker

# What a killed process leaves. ~/save_map writes other files: the two never replace each other.
_KEPT = "checkpoint" + CHECKPOINT
# Longest time that mapping waits for a slow disk.
_SLOW_DISK_S = 60.0


class MapSaver:
    """Saves and loads a map, and writes a checkpoint every few keyframes.

    A checkpoint is written in a thread of its own, after every half of
    ``runtime.checkpoint_keyframes``. Mapping waits only for the checkpoint before. So at no time
    more keyframes are unsaved than that parameter says.

    Args:
        config: ``runtime.*`` and ``map.outlier_sigma``; may be replaced while running.
        lock: held by every reader and writer of ``surfels``.
        folder: where the files are written.
        on_problem: called with (kind, error) from any thread.
        pipeline: its learned state and its tracker's keyframes are saved and loaded with the
            map; or None.
        on_loaded: called when another map is there, with the lock held.
    """

    def __init__(
        self,
        config: Config,
        surfels: SurfelMap,
        lock: threading.Lock,
        folder: MapFolder,
        on_problem: Callable[[str, Exception | str], None],
        pipeline: SlamPipeline | None = None,
        on_loaded: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config
        self._surfels = surfels
        self._lock = lock
        self._folder = folder
        self._pipeline = pipeline
        self._on_problem = on_problem
        self._on_loaded = on_loaded
        # Two services, or a service and the end of the node, may save at once.
        self._one_at_a_time = threading.Lock()
        # Keyframes mapped since the last reset, and how many of them are in any file, in the
        # last saved map, and in the checkpoint begun last.
        self._mapped = self._kept = self._saved = self._begun = 0
        self._resets = 0
        self._worker: KeyframeWorker[None] = KeyframeWorker(
            self._checkpoint, False, lambda _, error: on_problem("checkpoint", error)
        )

    @property
    def unsaved(self) -> int:
        """Number of keyframes that no file holds yet."""
        return self._mapped - max(self._kept, self._saved)

    @property
    def changed(self) -> bool:
        """Whether the map has grown since it was last saved or loaded."""
        return self._mapped > self._saved

    def mapped(self) -> None:
        """Record a mapped keyframe; begin a checkpoint if one is due (mapping thread)."""
        self._mapped += 1
        allowed = self.config.runtime.checkpoint_keyframes
        if allowed == 0 or self._mapped - self._begun < max(1, allowed // 2):
            return
        self._worker.drain(_SLOW_DISK_S)
        self._begun = self._mapped
        self._worker.submit(None)
        if allowed == 1:
            self._worker.drain(_SLOW_DISK_S)

    def reset(self) -> None:
        """Record that the map was cleared. Files of before are kept."""
        self._resets += 1
        self._mapped = self._kept = self._saved = self._begun = 0
        self._folder.disown()

    def save(self, name: str = "") -> Path:
        """Write the map and a checkpoint into the folder. Return the map's path.

        Args:
            name: of the map file; "": ``runtime.map_file``.

        Raises:
            MapError: the map is empty, its files have a name that cannot be used, or a file
                cannot be written.
        """
        target = self._file(name)
        beside = target.with_suffix(CHECKPOINT)
        with self._one_at_a_time:
            resets, mapped = self._write_all(*dict.fromkeys((target, beside)))
            if resets == self._resets:
                self._saved = mapped
                self._folder.remove(self._folder.path / _KEPT)
        return target

    def save_checkpoint(self, path: Path) -> Path:
        """Write the checkpoint alone, to any file; return its path. Errors are those of `save`."""
        return self._write(path, self._content())

    def load(self, path: Path | None = None, name: str = "") -> Path:
        """Replace the map by a checkpoint. Return the checkpoint's path.

        The learned state of the refinement and the tracker's keyframes are loaded with the map.
        After an error, all is unchanged.

        Args:
            path: the checkpoint; None: the one beside a map file in the folder.
            name: of that map file; "": ``runtime.map_file``.

        Raises:
            MapError: there is no checkpoint, or it cannot be used.
            DepthError: the adapted weights of the checkpoint do not fit the network.
        """
        if path is None:
            path = self._file(name).with_suffix(CHECKPOINT)
            if path.is_symlink():
                raise MapError.from_parts(
                    f"map file {path}", "a link", "the file itself", "copy the file there"
                )
        # Mapping goes on while the file is read and checked.
        notice = ""
        if self._pipeline is None:
            target = self._surfels
            checkpoint = read_checkpoint(path, target.config.max_surfels, target.device)
            with self._lock:
                target.restore(checkpoint.surfels, checkpoint.fusions)
                self._take_over(path)
        else:
            loaded = read_loaded(path, self._pipeline)
            with self._lock:
                notice = restore(self._pipeline, loaded)
                self._take_over(path)
        if notice:
            self._on_problem("load", notice)
        return path

    def close(self) -> None:
        """Finish the checkpoint at work and end the thread."""
        self._worker.drain(_SLOW_DISK_S)
        self._worker.stop()

    def _file(self, name: str) -> Path:
        if name:
            return self._folder.file(name, "map name")
        return self._folder.file(self.config.runtime.map_file)

    def _checkpoint(self, _: None) -> None:
        with self._one_at_a_time:
            resets, mapped = self._write_all(self._folder.path / _KEPT)
            if resets == self._resets:
                self._kept = mapped

    def _write_all(self, *targets: Path) -> tuple[int, int]:
        """Write the map as it is now; return the numbers of resets and keyframes before."""
        with self._lock:
            state = self._resets, self._mapped
        content = self._content()
        check_surfels(content.surfels, content.fusions)
        self._folder.make_room(*targets)
        for target in targets:
            self._write(target, content)
            self._folder.own(target)
        return state

    def _write(self, path: Path, content: MapCheckpoint) -> Path:
        return save(
            path,
            content.surfels,
            content.fusions,
            outlier_sigma=self.config.map.outlier_sigma,
            learned=content.learned,
            tracking=content.tracking,
        )

    def _content(self) -> MapCheckpoint:
        """Return the map and the learned state that a checkpoint holds."""
        with self._lock:
            surfels, fusions = self._surfels.surfels, self._surfels.keyframes
            learned = {} if self._pipeline is None else self._pipeline.state_dict()
        surfels = self._sound(surfels, fusions)
        if self._pipeline is None:
            return MapCheckpoint(surfels, fusions)
        # Encoding images takes long. The tracker has a lock of its own, held for milliseconds.
        tracking = self._pipeline.tracking
        kept = {} if tracking is None else tracking.state_dict()
        return MapCheckpoint(surfels, fusions, learned, kept)

    def _sound(self, surfels: Surfels, fusions: int) -> Surfels:
        """Leave out what could not be loaded: the rest of the map is better than none."""
        sound = sound_surfels(surfels, fusions)
        wrong = len(surfels) - int(sound.sum())
        if not wrong:
            return surfels
        self._on_problem("map", f"{wrong} surfels with values that no map has are not saved")
        return surfels[sound]

    def _take_over(self, source: Path) -> None:
        """Follow a loaded map: the map in memory holds the file now. The lock is held."""
        self._kept = self._saved = self._begun = self._mapped
        self._folder.own(source)
        self._on_loaded()


def start_map(given: str) -> Path:
    """Return the checkpoint of ``runtime.start_map``, absolute.

    Raises:
        MapError: a folder without a checkpoint.
    """
    source = Path(given).expanduser().absolute()
    return _newest(source) if source.is_dir() else source


def _newest(folder: Path) -> Path:
    found = [path for path in folder.glob("*" + CHECKPOINT) if path.is_file()]
    if not found:
        raise MapError.from_parts(
            "parameter runtime.start_map",
            f"{folder} without a {CHECKPOINT} file",
            "a checkpoint, or a folder with one",
            "correct the path, or leave it out to begin a new map",
        )
    return max(found, key=lambda path: path.stat().st_mtime_ns)
