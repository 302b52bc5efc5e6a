"""``e2e-slam live``: a webcam or a video and nothing else; map and path in the browser."""

from __future__ import annotations

import argparse
import math
import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from e2e_slam_ros.commands.live_input import (
    DEFAULT_FOV_DEG,
    lens_of,
    live_settings,
    open_stream,
)
from e2e_slam_ros.commands.outputs import run_folder
from e2e_slam_ros.commands.settings import add_settings
from e2e_slam_ros.commands.terminal import FAILED, INTERRUPTED, say
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, E2ESlamError

if TYPE_CHECKING:
    from e2e_slam_ros.data.video_stream import VideoStream
    from e2e_slam_ros.evaluation.run.recorder import RunRecorder
    from e2e_slam_ros.slam.live_mapper import LiveMapper
    from e2e_slam_ros.viewers.run_viewer import RunViewer

NAME = "live"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        NAME,
        help="map from a webcam or a video file, without ROS, and watch it in the browser",
        description="Finds the camera's path from the images, maps with the depth network, and "
        "serves map, path, image, depth and tracking state to the browser. Ctrl-C ends it; map, "
        "path and report are written at the end.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--camera", metavar="N", help="number of a camera, or address of a network camera"
    )
    source.add_argument("--video", type=Path, metavar="FILE", help="video file")
    lens = parser.add_mutually_exclusive_group()
    lens.add_argument(
        "--calibration", type=Path, metavar="FILE", help="calibration.yaml of the camera"
    )
    lens.add_argument(
        "--fov",
        type=float,
        metavar="DEG",
        help=f"horizontal field of view in degrees (default: {DEFAULT_FOV_DEG:.0f})",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=1.0,
        help="speed of a video, times its own; below 1 on a slow machine (default: %(default)s)",
    )
    parser.add_argument(
        "--as-fast-as-possible",
        action="store_true",
        dest="lockstep",
        help="every frame of the video in turn, each keyframe mapped before the next frame: "
        "nothing is dropped, runs are repeatable",
    )
    parser.add_argument(
        "--viewer", choices=("web", "rerun", "none"), help="where to show it (default: web)"
    )
    parser.add_argument("--viewer-host", metavar="HOST", help="default: this machine alone")
    parser.add_argument("--viewer-port", type=int, metavar="PORT", help="default: 8080")
    parser.add_argument(
        "--stay", action="store_true", help="keep the viewer open at the end, until Ctrl-C"
    )
    add_settings(parser, "parameter", "e2e-slam parameters", "ROS parameter file")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write (default: out/<time>)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Map until the video ends or Ctrl-C; write and print. Return the exit code.

    Ctrl-C is the end of a camera's run (0), and an early end of a video's (130).

    Raises:
        E2ESlamError: an argument, the input, the viewer or the output folder cannot be used.
    """
    if arguments.lockstep and arguments.camera is not None:
        raise ConfigError.from_parts(
            "--as-fast-as-possible", "a camera", "a video file", "leave it out, or record a video"
        )
    if not (arguments.rate > 0.0 and math.isfinite(arguments.rate)):
        raise ConfigError.from_parts(
            "--rate", arguments.rate, "a number above 0", "use 1 for the video's own speed"
        )
    config = live_settings(arguments)
    lens = lens_of(arguments)
    with run_folder(arguments.out, config.map.max_surfels) as folder, ExitStack() as ends:
        stream = open_stream(arguments, lens)
        ends.callback(stream.close)
        return _LiveRun(stream, config, folder, arguments).run(shlex.join(["e2e-slam", *argv]))


@dataclass
class _End:
    """End of a run: Ctrl-C, a failure or neither."""

    interrupted: bool = False
    failure: E2ESlamError | None = None


class _LiveRun:
    """One run from the first image to the written files."""

    def __init__(
        self, stream: VideoStream, config: Config, folder: Path, arguments: argparse.Namespace
    ) -> None:
        from e2e_slam_ros.config.device import resolve_device
        from e2e_slam_ros.evaluation.run.recorder import RunRecorder
        from e2e_slam_ros.slam.live_mapper import LiveMapper
        from e2e_slam_ros.slam.observer import Observers
        from e2e_slam_ros.slam.problems import ProblemCounter
        from e2e_slam_ros.viewers.choice import open_viewer

        self._stream, self._config, self._folder = stream, config, folder
        self._lockstep, self._stay, self._rate = (
            arguments.lockstep,
            arguments.stay,
            arguments.rate,
        )
        self._problems = ProblemCounter()
        self._state = ""
        _use_threads(config.runtime.threads)
        device = resolve_device(config.runtime.device)
        self._recorder: RunRecorder = RunRecorder(None, config, name=stream.name)
        # The viewer listens before anything is computed: its address may be refused.
        self._viewer: RunViewer | None = open_viewer(config, self._on_problem)
        try:
            watch = Observers(self._recorder, self._viewer, on_problem=self._on_problem)
            self._mapper: LiveMapper = LiveMapper(config, device, watch, self._on_problem)
        except BaseException:
            self._close_viewer()
            raise

    def run(self, command: str) -> int:
        """Map, write, print, and return the exit code."""
        from e2e_slam_ros.refine.refiner import network_notices
        from e2e_slam_ros.viewers.web_viewer import WebViewer

        if isinstance(self._viewer, WebViewer):
            say(f"watch it at {self._viewer.url}; Ctrl-C ends the run")
        for notice in network_notices(self._config.refine, self._mapper.pipeline.source.network):
            say(notice)
        start = time.monotonic()
        end = _End()
        try:
            self._play(end)
            code = self._write(end, time.monotonic() - start, command)
            if self._stay and self._viewer is not None and not end.interrupted:
                text = f"the run has ended; its files are in {self._folder}"
                self._viewer.show_end(text, self._mapper.pipeline.surfels.snapshot)
                self._wait_for_ctrl_c()
            return code
        finally:
            self._close_viewer()

    def _play(self, end: _End) -> None:
        """Track and map every frame; note how it ended."""
        from e2e_slam_ros.data.paced import PacedFrames

        paced = None if self._lockstep else PacedFrames(self._stream, self._rate)
        try:
            for frame in self._stream if paced is None else paced:
                self._tell(self._mapper.add(frame).state.value, frame.stamp_ns)
            self._mapper.drain()
        except KeyboardInterrupt:
            end.interrupted = True
        except E2ESlamError as error:
            if self._mapper.frames == 0:
                raise
            # The result so far is worth more than the exception.
            end.failure = error
            self._mapper.drain()
        finally:
            if paced is not None:
                paced.close()
            self._mapper.stop()
        if paced is not None and paced.missed:
            self._stream.notes.append(
                f"{paced.missed:,} frames were not tracked: this machine is slower than the video."
            )

    def _tell(self, state: str, stamp_ns: int) -> None:
        """Say when the state of tracking changes."""
        if state != self._state and "relocalised" not in (state, self._state):
            seconds = "" if self._stream.live else f"{stamp_ns * 1e-9:.1f} s: "
            say(f"{seconds}{state}")
        self._state = state
        if state in ("lost", "initialising"):
            self._problems.count(f"no_pose ({state})")

    def _write(self, end: _End, wall_s: float, command: str) -> int:
        from e2e_slam_ros.evaluation.run.artifacts import CHECKPOINT_FILE, write_run
        from e2e_slam_ros.evaluation.run.tables import print_summary

        surfels, tracking = self._mapper.pipeline.surfels, self._mapper.pipeline.tracking
        cloud = surfels.snapshot()
        for note in self._stream.notes:
            self._recorder.note(note)
        summary = self._recorder.finish(
            cloud,
            self._mapper.dropped,
            self._problems.totals(),
            wall_s,
            surfels.state_hash(),
            None if tracking is None else tracking.landmarks(),
        )
        checkpoint = None if summary.is_empty else self._save(self._folder / CHECKPOINT_FILE)
        files = write_run(self._folder, summary, cloud, self._config, command, checkpoint)
        print_summary(summary, files.written, files.failures, Console())
        if end.failure is not None:
            say(f"ended early: {end.failure}; the files hold what had been mapped")
        if summary.is_empty:
            say("nothing was mapped: move the camera sideways, with light and texture in view")
        if files.failures or end.failure is not None or summary.is_empty:
            return FAILED
        return INTERRUPTED if end.interrupted and not self._stream.live else 0

    def _save(self, path: Path) -> Path | E2ESlamError:
        """Write the checkpoint; return its path or the error."""
        try:
            return self._mapper.save(path)
        except E2ESlamError as error:
            return error

    def _wait_for_ctrl_c(self) -> None:
        say("the viewer stays open; Ctrl-C ends it")
        try:
            while True:
                time.sleep(3600.0)
        except KeyboardInterrupt:
            return

    def _on_problem(self, kind: str, error: Exception | str) -> None:
        if self._problems.count(kind) == 1:
            say(f"{kind}: {error}")

    def _close_viewer(self) -> None:
        if self._viewer is not None:
            self._viewer.close()


def _use_threads(count: int) -> None:
    if count > 0:
        import torch

        torch.set_num_threads(count)
