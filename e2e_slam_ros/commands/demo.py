"""The input of ``--demo``: a downloaded recording, or a built-in scene without network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from e2e_slam_ros.commands.rendering import one_cpu_thread, rendered
from e2e_slam_ros.commands.terminal import say
from e2e_slam_ros.config.errors import E2ESlamError

if TYPE_CHECKING:
    from e2e_slam_ros.data.frame import FrameReader

DEMO_SEQUENCE = "freiburg1_xyz"
_TIMEOUT_S = 5.0
# A walk of twelve metres through a furnished room in 24 seconds. One core renders it in about
# the same time. The size is the working size, so no detail is lost.
_SCENE_SEED, _SCENE_RATE_HZ = 3, 10.0
_SCENE_FRAMES, _SCENE_WIDTH, _SCENE_HEIGHT = 240, 320, 240


def demo_reader() -> FrameReader:
    """Return the frames of the demonstration. A message says which sequence it is, and why."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "e2e_slam_ros"
    try:
        return _recording(folder)
    except E2ESlamError as problem:
        say(f"no recording could be had ({problem})")
        say(f"rendering {_SCENE_FRAMES} frames of the built-in scene instead")
    return built_in_scene()


def built_in_scene() -> FrameReader:
    """Return the rendered procedural sequence."""
    from e2e_slam_ros.data.sequence import PreloadedReader
    from e2e_slam_ros.simulation import ProceduralReader

    with one_cpu_thread():
        scene = ProceduralReader(
            seed=_SCENE_SEED,
            frames=_SCENE_FRAMES,
            width=_SCENE_WIDTH,
            height=_SCENE_HEIGHT,
            rate_hz=_SCENE_RATE_HZ,
        )
        return PreloadedReader(scene, list(rendered(scene)))


def _recording(folder: Path) -> FrameReader:
    from e2e_slam_ros.data.download import download_tum
    from e2e_slam_ros.data.open import open_reader

    say(f"demonstration: TUM RGB-D {DEMO_SEQUENCE}, kept in {folder}")
    return open_reader(download_tum(DEMO_SEQUENCE, folder, timeout=_TIMEOUT_S))
