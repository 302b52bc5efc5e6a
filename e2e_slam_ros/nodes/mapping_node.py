"""The base of the nodes that have a map."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, MapError
from e2e_slam_ros.mapping.map_folder import MapFolder, check_name, output_folder
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.configured_node import ConfiguredNode
from e2e_slam_ros.nodes.grid_output import GridOutput
from e2e_slam_ros.nodes.map_output import MapOutput
from e2e_slam_ros.nodes.map_saver import MapSaver, start_map
from e2e_slam_ros.nodes.map_services import offer_map_services
from e2e_slam_ros.slam.observer import Observers, RunObserver
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.viewers.choice import open_viewer

# Longest time that the end of a node waits for the last keyframe.
_LAST_KEYFRAME_S = 20.0


class MappingNode(ConfiguredNode, ABC):
    """A node that has the map: it publishes, saves, loads and resets it."""

    def _configure(self) -> None:
        # Held by whoever reads or writes the map; the executor never waits for it at camera rate.
        self._map_lock = threading.Lock()
        self._map_epoch = 0
        _check_map_file(self.config)
        self.folder = MapFolder(output_folder(self.config.runtime.output))

    def _serve_map(
        self,
        surfels: SurfelMap,
        poses: Callable[[], Mapping[int, torch.Tensor]],
        pipeline: SlamPipeline | None = None,
    ) -> None:
        """Publish the map and offer its services.

        Args:
            poses: returns keyframe number -> T_map_camera (4, 4); the map's lock is held.
            pipeline: its learned state is saved and loaded with the map; or None.
        """
        self._served = surfels
        problem = self.diagnostics.problem
        self.map_output = MapOutput(self, self.config, surfels, self._map_lock, problem)
        self.grid_output = GridOutput(self, self.config, surfels, self._map_lock, poses, problem)
        self.saver = MapSaver(
            self.config,
            surfels,
            self._map_lock,
            self.folder,
            problem,
            pipeline,
            self._on_loaded,
        )
        for part in (self.map_output, self.grid_output, self.saver):
            self._open.callback(part.close)
        self._triggers.slow("save_map", "save", self.saver.save)
        offer_map_services(self._triggers, self.saver.save, self._load)
        self._triggers.slow("load_map", "load", self._load)
        self._triggers.slow("reset", "reset", self._clear, self._begin_reset)
        if self.config.runtime.start_map:
            source = self.saver.load(start_map(self.config.runtime.start_map))
            self.get_logger().info(f"going on with {source}: {len(surfels)} surfels")
        if self.config.runtime.save_at_end:
            self.get_logger().info(f"the map will be saved in {self.folder.path}")

    def _observers(self, given: RunObserver | None = None) -> Observers:
        """Return a given observer and the viewer of ``runtime.viewer``, which is opened."""
        # A recording goes where the maps go.
        shown = self.config.with_values({"runtime.output": str(self.folder.path)})
        self._viewer = open_viewer(shown, self.diagnostics.problem)
        if self._viewer is not None:
            self._open.callback(self._viewer.close)
        return Observers(given, self._viewer, on_problem=self.diagnostics.problem)

    def reset(self) -> str:
        """Forget the map and what waits; return what was forgotten, in words."""
        self._begin_reset()
        return self._clear()

    def save_map(self) -> tuple[bool, str]:
        """Save the map; return success and the absolute path, or the reason."""
        return self._triggers.now("save", self.saver.save)

    def close(self, save: bool = True) -> None:
        """End the threads and save what is not saved yet (``runtime.save_at_end``).

        `failure` then says whether that failed.
        """
        if not self._configured:
            return
        runtime = self.config.runtime
        save = save and runtime.save_at_end
        if save and not runtime.offline:
            # The last keyframe of a recording waits here when its player ends.
            self.worker.drain(_LAST_KEYFRAME_S)
        self.worker.stop()
        self.saver.close()
        if save and self.saver.changed:
            saved, said = self.save_map()
            if not saved:
                self.failure = f"the map of {len(self._served)} surfels was not saved: {said}"
        super().close()

    def _is_saved(self) -> bool:
        """Save a map that changed, before it is taken out of memory."""
        runtime = self.config.runtime
        if runtime.save_at_end:
            self.worker.drain(_LAST_KEYFRAME_S)
        return not (runtime.save_at_end and self.saver.changed) or self.save_map()[0]

    def _check(self, config: Config) -> None:
        _check_map_file(config)

    def _on_loaded(self) -> None:
        """Follow a map that was loaded; the lock is held."""

    def _load(self, name: str = "") -> Path:
        source = self.saver.load(name=name)
        self._tell_changed()
        return source

    def _map_changed(self, stamp_ns: int) -> None:
        """Tell of a mapped keyframe (mapping thread; the map's lock is not held)."""
        self._tell_changed(stamp_ns)
        self.saver.mapped()

    def _tell_changed(self, stamp_ns: int | None = None) -> None:
        self.map_output.changed(stamp_ns)
        self.grid_output.changed(stamp_ns)

    def _reconfigure(self, config: Config) -> None:
        self.map_output.config = self.grid_output.config = self.saver.config = config

    def _stated(self) -> Mapping[str, object]:
        return {**super()._stated(), "folder": self.folder.path}

    @abstractmethod
    def _begin_reset(self) -> None:
        """Begin a new epoch (executor thread)."""

    @property
    @abstractmethod
    def epoch(self) -> int:
        """Number of resets so far."""

    @abstractmethod
    def _forget_map(self) -> None:
        """Clear the map and its counters; the lock is held."""

    def _clear(self) -> str:
        """Forget the map of the time before the last reset (any thread; waits for the map)."""
        with self._map_lock:
            surfels = len(self._served)
            self._clear_if_reset()
        self._tell_changed(0)
        return f"forgot {surfels} surfels"

    def _clear_if_reset(self) -> None:
        """Clear the map once for each reset; call with the lock held.

        A keyframe of after a reset may get the lock before the thread that clears: then it
        clears, and is not forgotten with the old map.
        """
        if self._map_epoch != self.epoch:
            self._map_epoch = self.epoch
            self._forget_map()
            self.saver.reset()


def _check_map_file(config: Config) -> None:
    """Refuse a map file outside the output folder: anybody in the network may set its name."""
    try:
        check_name(config.runtime.map_file)
    except MapError as error:
        raise ConfigError(str(error)) from error
