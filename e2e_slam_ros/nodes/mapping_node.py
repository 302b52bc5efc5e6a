"""The base of the nodes that have a map."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from rclpy.context import Context
from rclpy.parameter import Parameter

from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.configured_node import ConfiguredNode
from e2e_slam_ros.nodes.map_output import MapOutput
from e2e_slam_ros.slam.pipeline import SlamPipeline


class MappingNode(ConfiguredNode, ABC):
    """A node that has the map: it publishes, saves, loads and resets it."""

    def __init__(
        self, name: str, context: Context | None, parameter_overrides: Sequence[Parameter]
    ) -> None:
        super().__init__(name, context, parameter_overrides)
        # Held by whoever reads or writes the map; the executor never waits for it at camera rate.
        self._map_lock = threading.Lock()
        self._map_epoch = 0

    def _serve_map(self, surfels: SurfelMap, pipeline: SlamPipeline | None = None) -> None:
        """Publish the map and offer its services; the pipeline's learned state goes with it."""
        self._served = surfels
        self.map_output = MapOutput(
            self,
            self.config,
            surfels,
            self._map_lock,
            self.diagnostics.problem,
            pipeline,
            self._on_loaded,
        )
        start_map = self.config.runtime.start_map
        if start_map:
            self.map_output.load(Path(start_map).expanduser().absolute())
        self._triggers.slow("save_map", "save", self.map_output.save)
        self._triggers.slow("load_map", "load", self.map_output.load)
        self._triggers.slow("reset", "reset", self._clear, self._begin_reset)

    def reset(self) -> str:
        """Forget the map and what waits; return what was forgotten, in words."""
        self._begin_reset()
        return self._clear()

    def save_map(self) -> tuple[bool, str]:
        """Save the map; return success and the absolute path, or the reason."""
        return self._triggers.now("save", self.map_output.save)

    def close(self, save: bool = True) -> None:
        """End the threads; an offline run with an output folder saves its map."""
        super().close()
        self.map_output.close()
        runtime = self.config.runtime
        if save and runtime.offline and runtime.output and len(self._served) > 0:
            self.save_map()

    def _on_loaded(self) -> None:
        """Follow a map that was loaded; the lock is held."""

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
        self.map_output.changed(0)
        return f"forgot {surfels} surfels"

    def _clear_if_reset(self) -> None:
        """Clear the map once for each reset; call with the lock held.

        A keyframe of after a reset may get the lock before the thread that clears: then it
        clears, and is not forgotten with the old map.
        """
        if self._map_epoch != self.epoch:
            self._map_epoch = self.epoch
            self._forget_map()
