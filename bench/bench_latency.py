#!/usr/bin/env python3
"""Image-to-TF latency over Fast DDS between two processes while mapping runs.

    python bench/bench_latency.py --data ../shared/data/tum/rgbd_dataset_freiburg1_rpy_excerpt

This process sends RGB-D frames at 30 Hz and listens to /tf; slam_node runs in another.
A latency is the wall time from just before the image is published until its transform arrives.
On a machine with other work the CPU time says more: what slam_node's main thread takes for a
frame, from the message to the transform, is what the latency would be on a free core, but for the
way through DDS.
Frames are decoded beforehand: a camera driver would not decode PNG files either.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from tf2_msgs.msg import TFMessage

from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.nodes.frame_publisher import FrameMessages, FramePublisher
from e2e_slam_ros.nodes.spinning import SpinThread
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from e2e_slam_ros.nodes.transport import make_room_for_images
from e2e_slam_ros.simulation import ProceduralReader

sys.path.insert(0, str(Path(__file__).resolve().parent))
from e2e_slam_ros.evaluation.machine import machine_line  # noqa: E402

_SLAM = "from e2e_slam_ros.nodes.slam_node import main; raise SystemExit(main())"
_WARM_UP_FRAMES = 30


class Observer(Node):
    """Notes when transforms arrive and what the SLAM side counts."""

    def __init__(self) -> None:
        super().__init__("latency_observer")
        self.arrived_ns: dict[int, int] = {}
        self.status: dict[str, str] = {}
        self.create_subscription(TFMessage, "/tf", self._on_tf, 100)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_tf(self, msg: TFMessage) -> None:
        now_ns = time.perf_counter_ns()
        for transform in msg.transforms:
            self.arrived_ns.setdefault(stamp_to_ns(transform.header.stamp), now_ns)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == "/slam_node":
                self.status = {item.key: item.value for item in status.values}


def parse() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="sequence of RGB-D; default: a made-up room")
    parser.add_argument(
        "--size", default="640x480", help="of the made-up room's images, e.g. 1280x720"
    )
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--hz", type=float, default=30.0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--set", action="append", default=[], help="slam_node parameter key:=value"
    )
    return parser.parse_args()


def prepare(options: argparse.Namespace, publisher: FramePublisher) -> list[FrameMessages]:
    """Decode the frames and give them stamps at the wanted rate."""
    width, height = map(int, options.size.split("x"))
    reader: FrameReader = ProceduralReader(frames=60, width=width, height=height)
    if options.data:
        reader = open_reader(options.data)
    # A sequence that is too short is played to and fro: a frame of its own stamp each time.
    count = len(reader)
    frames = [reader[index] for index in range(min(options.frames, count))]
    step_ns = round(1e9 / options.hz)
    made = []
    for index in range(options.frames):
        place = index % (2 * count - 2) if count > 1 else 0
        frame = frames[min(place, 2 * count - 2 - place)]
        stamp_ns = frames[0].stamp_ns + index * step_ns
        made.append(publisher.messages(replace(frame, index=index, stamp_ns=stamp_ns)))
    return made


def send(publisher: FramePublisher, frames: list[FrameMessages], hz: float) -> dict[int, int]:
    """Publish the frames at a steady rate; return stamp -> time just before publishing."""
    sent_ns: dict[int, int] = {}
    start = time.perf_counter()
    for index, frame in enumerate(frames):
        time.sleep(max(0.0, start + index / hz - time.perf_counter()))
        sent_ns[frame.stamp_ns] = time.perf_counter_ns()
        publisher.send(frame)
    return sent_ns


def start_slam(settings: list[str]) -> subprocess.Popen[bytes]:
    """Start slam_node in a process of its own."""
    arguments = [part for setting in settings for part in ("-p", setting)]
    command = [sys.executable, "-c", _SLAM, "--ros-args", "--log-level", "warn", *arguments]
    return subprocess.Popen(command)


def cpu_ms(process: int) -> tuple[float, float]:
    """Return the CPU time so far of a process's main thread and of all its threads, ms."""

    def used(stat: Path) -> float:
        user, system = stat.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) * 1e3 / os.sysconf("SC_CLK_TCK")

    folder = Path("/proc") / str(process)
    return used(folder / "task" / str(process) / "stat"), used(folder / "stat")


def main() -> int:
    """Measure and print."""
    options = parse()
    os.environ.setdefault("ROS_DOMAIN_ID", str(100 + os.getpid() % 100))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    make_room_for_images()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    observer, player = Observer(), Node("latency_player")
    publisher = FramePublisher(player, "map", "camera_optical_frame")
    frames = prepare(options, publisher)
    slam = start_slam(options.set)
    try:
        with SpinThread(observer):
            deadline = time.monotonic() + 60
            while not publisher.is_connected() and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(1.0)
            sent_ns = send(publisher, frames[:_WARM_UP_FRAMES], options.hz)
            load, before = os.getloadavg()[0], cpu_ms(slam.pid)
            sent_ns |= send(publisher, frames[_WARM_UP_FRAMES:], options.hz)
            time.sleep(2.5)
            after = cpu_ms(slam.pid)
    finally:
        slam.terminate()
        slam.wait(20)
    rclpy.shutdown()
    figures = summary(sent_ns, observer, frames, options.hz)
    measured = len(frames) - _WARM_UP_FRAMES
    main_ms, all_ms = ((end - begin) / measured for begin, end in zip(before, after, strict=True))
    figures["cpu_ms_a_frame"] = {"main_thread": round(main_ms, 2), "process": round(all_ms, 2)}
    figures["load"] = [round(load, 1), round(os.getloadavg()[0], 1)]
    print(json.dumps(figures, indent=2))
    print(machine_line("cpu"))
    if options.json:
        options.json.write_text(
            json.dumps(figures | {"machine": machine_line("cpu")}, indent=2) + "\n"
        )
    return 0


def summary(
    sent_ns: dict[int, int], observer: Observer, frames: list[FrameMessages], hz: float
) -> dict[str, object]:
    """Return the figures."""
    stamps = list(sent_ns)[_WARM_UP_FRAMES:]
    arrived = [stamp for stamp in stamps if stamp in observer.arrived_ns]
    latency_ms = [(observer.arrived_ns[s] - sent_ns[s]) * 1e-6 for s in arrived]
    p50, p95, worst = (float(v) for v in np.percentile(latency_ms, (50, 95, 100)))
    status = observer.status
    return {
        "what": "image published to its transform received, two processes",
        "size": f"{frames[0].image.width}x{frames[0].image.height}",
        "hz": hz,
        "frames": len(stamps),
        "transforms": len(arrived),
        "latency_ms": {"p50": round(p50, 2), "p95": round(p95, 2), "max": round(worst, 2)},
        "keyframes": status.get("keyframes"),
        "dropped_keyframes": status.get("dropped"),
        "surfels": status.get("surfels"),
        "slam_node": {
            key: value
            for key, value in status.items()
            if key.startswith(("latency_ms.", "problems."))
        },
    }


if __name__ == "__main__":
    raise SystemExit(main())
