"""The viewer that the configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from e2e_slam_ros.config import Config
from e2e_slam_ros.viewers.rerun_viewer import RerunViewer
from e2e_slam_ros.viewers.run_viewer import RunViewer
from e2e_slam_ros.viewers.web_viewer import WebViewer


def open_viewer(
    config: Config, on_problem: Callable[[str, Exception], None] | None = None
) -> RunViewer | None:
    """Open the viewer that ``runtime.viewer`` names; None where it is "none".

    Args:
        config: ``runtime``, and ``publish.min_confidence`` for the points that are shown.
        on_problem: called with ("viewer", error) from the viewer's own thread.

    Raises:
        ConfigError: the viewer's package is missing, or its address or folder cannot be used.
    """
    runtime = config.runtime
    if runtime.viewer == "rerun":
        return RerunViewer(Path(runtime.output or "."))
    if runtime.viewer == "web":
        return WebViewer(
            runtime.viewer_host,
            runtime.viewer_port,
            runtime.viewer_points,
            config.publish.min_confidence,
            on_problem,
        )
    return None
