#!/usr/bin/env python3
"""Time to publish a 500 000-point map: snapshot, message, publish.

    python bench/bench_map_publish.py

A subscriber in another process receives each map, so that the middleware does its work.
"snapshot", "message" and "publish" are spent in a thread of slam_node's own; "executor" is what
its executor thread spends on a map that is due.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import rclpy
import torch
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.cloud_messages import cloud_message
from e2e_slam_ros.nodes.map_output import MapOutput
from e2e_slam_ros.nodes.qos import latched
from e2e_slam_ros.nodes.transport import make_room_for_images

sys.path.insert(0, str(Path(__file__).resolve().parent))
from e2e_slam_ros.evaluation.machine import machine_line  # noqa: E402


def listen(received: multiprocessing.Queue[int], stop: Event) -> None:
    """Receive maps in a process of its own."""
    make_room_for_images()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node("map_listener")
    node.create_subscription(PointCloud2, "map", lambda m: received.put(m.width), latched())
    while not stop.is_set():
        rclpy.spin_once(node, timeout_sec=0.05)
    rclpy.shutdown()


def surfel_map(count: int) -> SurfelMap:
    """Return a map of at least ``count`` surfels: views of a wall, side by side."""
    surfels = SurfelMap(Config().map, torch.device("cpu"))
    camera = PinholeCamera(640, 480, 500.0, 500.0, 319.5, 239.5)
    depth = torch.full((1, 1, 480, 640), 2.0)
    index = 0
    while len(surfels) < count:
        T_map_camera = torch.eye(4, dtype=torch.float64)
        T_map_camera[0, 3] = 5.0 * index
        image = torch.rand(1, 3, 480, 640)
        decision = KeyframeDecision(True, "made up")
        keyframe = Keyframe(index, index, index, image, camera, T_map_camera, depth, decision)
        surfels.fuse(keyframe, DepthEstimate(depth, None, "sensor", "sensor"))
        index += 1
    return surfels


def measure(node: Node, surfels: SurfelMap, points: int, repeats: int) -> dict[str, list[float]]:
    """Publish ``repeats`` maps; return milliseconds by step."""
    publisher = node.create_publisher(PointCloud2, "map", latched())
    deadline = time.monotonic() + 20
    while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    times: dict[str, list[float]] = {"snapshot": [], "message": [], "publish": [], "total": []}
    for _ in range(repeats):
        marks = [time.perf_counter()]
        cloud = surfels.snapshot(points, 0.0)
        marks.append(time.perf_counter())
        msg = cloud_message(cloud.positions, cloud.colors, Time(), "map")
        marks.append(time.perf_counter())
        publisher.publish(msg)
        marks.append(time.perf_counter())
        for name, start, end in zip(times, marks, marks[1:], strict=False):
            times[name].append((end - start) * 1e3)
        times["total"].append((marks[-1] - marks[0]) * 1e3)
        time.sleep(0.2)
    return times


def executor_ms(node: Node, surfels: SurfelMap, repeats: int) -> list[float]:
    """Return what the executor thread spends when a map is due, milliseconds."""
    config = Config().with_values({"publish.period_s": 0.0})
    problems: list[object] = []
    output = MapOutput(
        node, config, surfels, threading.Lock(), lambda kind, error: problems.append(error)
    )
    times = []
    for index in range(repeats):
        output.changed(index)
        start = time.perf_counter()
        output.check()
        times.append((time.perf_counter() - start) * 1e3)
        time.sleep(0.2)
    output.close()
    assert not problems, problems
    return times


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=500_000)
    parser.add_argument("--surfels", type=int, default=600_000, help="size of the whole map")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    torch.set_num_threads(1)
    spawn = multiprocessing.get_context("spawn")
    received, stop = spawn.Queue(), spawn.Event()
    listener = spawn.Process(target=listen, args=(received, stop), daemon=True)
    listener.start()
    make_room_for_images()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node("map_publisher")
    surfels = surfel_map(options.surfels)
    times = measure(node, surfels, options.points, options.repeats)
    times["executor"] = executor_ms(node, surfels, options.repeats)
    time.sleep(0.5)
    stop.set()
    listener.join(10)
    rclpy.shutdown()
    figures: dict[str, object] = {
        "what": f"{options.points} of {options.surfels} surfels published, subscriber elsewhere",
        "published": 2 * options.repeats,
        "received": received.qsize(),
        "ms": {
            name: {
                "p50": round(statistics.median(values), 2),
                "p95": round(sorted(values)[int(0.95 * (len(values) - 1))], 2),
                "max": round(max(values), 2),
            }
            for name, values in times.items()
        },
    }
    print(json.dumps(figures, indent=2))
    print(machine_line("cpu"))
    if options.json:
        options.json.write_text(
            json.dumps(figures | {"machine": machine_line("cpu")}, indent=2) + "\n"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
