"""The other end of a node under test: sends camera messages, collects what comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.conversions import camera_info_message, image_message
from e2e_slam_ros.nodes.keyframe_output import DepthOutput, KeyframeOutput
from e2e_slam_ros.nodes.pose_messages import pose_message
from e2e_slam_ros.nodes.qos import image_publisher, latched, reliable
from e2e_slam_ros.nodes.spinning import SpinThread
from e2e_slam_ros.nodes.stamps import ns_to_stamp, stamp_to_ns
from e2e_slam_ros.slam.observer import RunObserver
from e2e_slam_ros.slam.result import KeyframeResult
from synthetic import CAMERA, estimate, keyframe, pose, textured_image, wall_depth

REPO = Path(__file__).resolve().parent.parent.parent
OPTICAL = "camera_optical_frame"
START_S = 60.0


def wait_for(
    condition: Callable[[], object], what: str | Callable[[], str], timeout_s: float = START_S
) -> None:
    """Wait until a condition holds; fail with what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        said = what if isinstance(what, str) else what()
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain for {said}"
        time.sleep(0.02)


class Peer(Node):
    """Publishes a camera in front of a wall and keeps what SLAM nodes publish."""

    def __init__(self, context: rclpy.Context) -> None:
        super().__init__("peer", context=context)
        self.transforms: dict[int, Any] = {}
        self.processed: list[int] = []
        self.maps: list[PointCloud2] = []
        self.keyframes: list[Image] = []
        self.depths: list[Image] = []
        self.status: dict[str, dict[str, str]] = {}
        self.levels: dict[str, tuple[int, str]] = {}
        self._reported_ns: dict[str, int] = {}
        qos = image_publisher()
        self.image_out = self.create_publisher(Image, "camera/image_raw", qos)
        self.info_out = self.create_publisher(CameraInfo, "camera/camera_info", qos)
        self.depth_out = self.create_publisher(Image, "camera/depth/image_raw", qos)
        self.pose_out = self.create_publisher(PoseStamped, "camera/pose", reliable(100))
        self.create_subscription(TFMessage, "/tf", self._on_tf, 1000)
        self.create_subscription(Header, "processed", self._on_processed, reliable(1000))
        self.create_subscription(PointCloud2, "cloud_map", self.maps.append, latched())
        self.create_subscription(Image, "keyframe/image", self.keyframes.append, reliable(100))
        self.create_subscription(Image, "keyframe/depth", self.depths.append, reliable(100))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_status, reliable(10))

    def _on_tf(self, msg: TFMessage) -> None:
        for item in msg.transforms:
            self.transforms[stamp_to_ns(item.header.stamp)] = item

    def _on_processed(self, msg: Header) -> None:
        self.processed.append(stamp_to_ns(msg.stamp))

    def _on_status(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            self.levels[status.name] = (ord(status.level), status.message)
            self.status[status.name] = {item.key: item.value for item in status.values}
            self._reported_ns[status.name] = stamp_to_ns(msg.header.stamp)

    def report(self, node: str = "slam_node") -> dict[str, str]:
        """Wait for a report that is made after this call, and return it.

        A report that came before may have been made while a keyframe was still waiting.
        """
        now, name = time.time_ns(), f"/{node}"
        wait_for(lambda: self._reported_ns.get(name, 0) > now, f"a new report of {node}", 10.0)
        return self.status[name]

    def messages(self, second: float, x: float = 0.0) -> tuple[Image, CameraInfo, Image, Any]:
        """A good frame: image, camera_info, depth, pose."""
        stamp = ns_to_stamp(round(second * 1e9))
        T = pose(x=x)
        depth = wall_depth(T)[0, 0].numpy()
        return (
            image_message(textured_image(), "rgb8", stamp, OPTICAL),
            camera_info_message(CAMERA, stamp, OPTICAL),
            image_message(depth, "32FC1", stamp, OPTICAL),
            pose_message(T.numpy(), stamp, "map"),
        )

    def send(self, image: Image, info: CameraInfo | None, depth: Image | None, at: Any) -> int:
        """Publish what is not None, the image last; return its stamp."""
        if at is not None:
            self.pose_out.publish(at)
        if depth is not None:
            self.depth_out.publish(depth)
        if info is not None:
            self.info_out.publish(info)
        self.image_out.publish(image)
        return stamp_to_ns(image.header.stamp)

    def send_good(self, second: float, x: float = 0.0) -> int:
        """Publish a good frame and wait until it is done with."""
        stamp_ns = self.send(*self.messages(second, x))
        self.wait_processed(stamp_ns)
        return stamp_ns

    def send_until_answered(self, second: float, x: float = 0.0) -> None:
        """Publish a good frame again and again until it is done with.

        A killed node still counts as a subscriber for some seconds, so the counts do not tell
        when the node that takes its place hears this one.
        """
        messages = self.messages(second, x)

        def answered() -> bool:
            stamp_ns = self.send(*messages)
            with suppress(AssertionError):
                wait_for(lambda: stamp_ns in self.processed, "", 2.0)
            return stamp_ns in self.processed

        wait_for(answered, f"`processed` of second {second:g}")

    def wait_processed(self, stamp_ns: int) -> None:
        """Wait for the answer to an image."""
        wait_for(lambda: stamp_ns in self.processed, f"`processed` of {stamp_ns}", 30.0)

    def wait_for_slam(self, *nodes: str) -> None:
        """Wait until the nodes report and the camera topics are connected."""
        wait_for(lambda: all(f"/{name}" in self.status for name in nodes), f"{nodes} to start")
        ends = (self.image_out, self.info_out, self.depth_out, self.pose_out)
        wait_for(lambda: all(end.get_subscription_count() for end in ends), "subscriptions")
        wait_for(lambda: self.count_publishers("processed"), "publisher of `processed`")
        # The node may not know of our publishers yet, and nothing here tells when it does.
        time.sleep(0.3)

    def problems(self, node: str = "slam_node") -> dict[str, int]:
        """What a node counted, as of its last report."""
        found = self.status.get(f"/{node}", {})
        prefix = "problems."
        return {k[len(prefix) :]: int(v) for k, v in found.items() if k.startswith(prefix)}

    def call(self, service: str, timeout_s: float = 20.0) -> Trigger.Response:
        """Call a Trigger service."""
        client = self.create_client(Trigger, service)
        assert client.wait_for_service(timeout_s), f"no service {service}"
        future = client.call_async(Trigger.Request())
        wait_for(future.done, f"answer of {service}", timeout_s)
        return future.result()


class Watching(RunObserver):
    """An observer that keeps the mapped keyframes."""

    def __init__(self) -> None:
        self.results: list[KeyframeResult] = []

    def on_frame(self, stamp_ns: int, T_map_camera: npt.NDArray[np.float64] | None) -> None:
        """Nothing."""

    def on_keyframe(self, result: KeyframeResult) -> None:
        """Keep it."""
        self.results.append(result)

    def on_latency(self, stage: str, ms: float) -> None:
        """Nothing."""


class KeyframeSender:
    """Sends keyframes with their depth to a mapper, as the nodes before it do."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._keyframes, self._depths = KeyframeOutput(peer, Config()), DepthOutput(peer)

    def wait_for_mapper(self) -> None:
        """Wait until the mapper reports and has subscribed."""
        wait_for(lambda: "/mapper_node" in self._peer.status, "mapper_node")
        topics = ("image", "camera_info", "pose", "depth", "uncertainty")
        names = [f"keyframe/{topic}" for topic in topics]
        wait_for(lambda: all(map(self._peer.count_subscribers, names)), "subscriptions")
        # As in `wait_for_slam`.
        time.sleep(0.3)

    def send(self, index: int, confidence: torch.Tensor | None = None) -> None:
        """Publish keyframe ``index`` in front of the wall."""
        seen = keyframe(pose(), index)
        assert seen.sensor_depth is not None
        self._keyframes.publish(self._keyframes.parts(seen, OPTICAL))
        known = estimate(seen.sensor_depth, confidence)
        self._depths.publish(self._depths.parts(seen, known, OPTICAL))


def status(node: Any) -> dict[str, str]:
    """What a node of this process says of itself now."""
    return {item.key: item.value for item in node.diagnostics.status().values}


class NodeProcess:
    """A node in a process of its own.

    ``within`` is a command that starts another one, such as that of a network namespace.
    """

    def __init__(
        self, name: str, settings: dict[str, object], log: Path, within: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.log = log
        code = f"from e2e_slam_ros.nodes.{name} import main; raise SystemExit(main())"
        arguments = []
        for key, value in settings.items():
            # "remap a": "b" connects topic a to topic b; anything else is a parameter.
            remapped = key.removeprefix("remap ")
            is_remap = remapped != key
            text = f"{remapped}:={value}" if is_remap else f"{key}:={_yaml(value)}"
            arguments += ["-r" if is_remap else "-p", text]
        command = [*within, sys.executable, "-c", code, "--ros-args", *arguments]
        environment = os.environ | {"PYTHONPATH": f"{REPO}:{os.environ.get('PYTHONPATH', '')}"}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=log.parent,
                # A shell has what it runs in the background ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def wait(self, timeout_s: float = START_S) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(timeout_s)

    def end(self, number: int = signal.SIGINT) -> int:
        """Ask it to end and return the exit code."""
        if self.alive:
            self.process.send_signal(number)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end:\n{self.output}") from None


def start(node: tuple[str, dict[str, object]], folder: Path) -> NodeProcess:
    """Start a node; what it prints goes to a file in the folder."""
    name, settings = node
    return NodeProcess(name, settings, folder / f"{name}.log")


@contextmanager
def running(
    tmp_path: Path, nodes: Sequence[tuple[str, dict[str, object]]]
) -> Iterator[list[NodeProcess]]:
    """Run nodes; more may be appended.

    What a failure leaves behind is ended, and what they printed is shown.
    """
    processes = [start(node, tmp_path) for node in nodes]
    try:
        yield processes
    except BaseException:
        for process in processes:
            print(f"--- {process.name}\n{process.output}")
        raise
    finally:
        for process in processes:
            if process.alive:
                process.process.kill()
            process.process.wait()


@contextmanager
def peer_in(domain: int) -> Iterator[Peer]:
    """A spinning peer with a context of its own."""
    context = rclpy.Context()
    rclpy.init(
        args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO
    )
    peer = Peer(context)
    try:
        with SpinThread(peer):
            yield peer
    except BaseException:
        print(f"--- reports: {peer.status}")
        raise
    finally:
        peer.destroy_node()
        context.try_shutdown()


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str | Path) else str(value)
