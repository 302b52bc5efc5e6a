#!/usr/bin/env python3
"""Harm the nodes and count what is lost; writes the table of docs/reliability.md.

    python bench/faults.py --times 3 --messages 2000 --write
    python bench/faults.py --times 50 --only SIGINT SIGTERM

Every frame of a small simulated RGB-D camera becomes a keyframe, so that each answered frame is
something to lose. Nodes run in processes of their own over Fast DDS. Disk full and read-only need
root, for a file system of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "test"))

from rclpy.serialization import serialize_message  # noqa: E402
from sensor_msgs.msg import Image, PointCloud2  # noqa: E402

from e2e_slam_ros.config.errors import E2ESlamError  # noqa: E402
from e2e_slam_ros.evaluation.machine import machine_line  # noqa: E402
from e2e_slam_ros.mapping.map_checkpoint import read_checkpoint  # noqa: E402
from e2e_slam_ros.nodes.qos import latched, reliable  # noqa: E402
from nodes.ros_peer import NodeProcess, Peer, peer_in, running, start, wait_for  # noqa: E402

PAGE = REPO / "docs" / "reliability.md"
BEGIN, END = "<!-- table of bench/faults.py -->\n", "<!-- end of the table -->\n"
ALLOWED = 4  # runtime.checkpoint_keyframes
SETTINGS: dict[str, object] = {
    "runtime.silence_s": 0.0,
    "runtime.checkpoint_keyframes": ALLOWED,
    "keyframe.parallax": 0.0,
    "keyframe.min_sharpness": 0.0,
}
STAGES = ("keyframe_node", "depth_node", "mapper_node")


@dataclass
class Outcome:
    """One row: what was done, how often, what was lost, seconds until mapping went on.

    ``frames`` is the number of answered frames that there were to lose.
    """

    fault: str
    times: int = 0
    lost: list[int] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    note: str = ""
    frames: int = 0

    def row(self) -> str:
        """Return the row of the table."""
        lost = f"{max(self.lost)} of {self.note}" if self.lost and self.note else self.note or "-"
        if self.lost and not self.note:
            lost = str(max(self.lost))
        median = sorted(self.recovery_s)[len(self.recovery_s) // 2] if self.recovery_s else None
        took = "-" if median is None else f"{median:.1f} s"
        failed = "; ".join(sorted(set(self.failures))) or "0"
        if self.failures:
            failed = f"{len(self.failures)}: {failed}"
        times = f"{self.times}, {self.frames} frames" if self.frames else str(self.times)
        return f"| {self.fault} | {times} | {lost} | {took} | {failed} |"


def came_in_time(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until a condition holds; return false after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


class Camera:
    """Sends frame after frame and keeps the stamps of those that were answered."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.second = 0.0
        peer.processed.clear()

    def send(self, alive: Callable[[], bool] = lambda: True, patience_s: float = 20.0) -> bool:
        """Send the next frame; return whether it was answered."""
        self.second += 1.0
        stamp = self.peer.send(*self.peer.messages(self.second, x=0.02 * (self.second % 50)))
        came_in_time(lambda: stamp in self.peer.processed or not alive(), patience_s)
        return stamp in self.peer.processed

    def until_answered(self, patience_s: float = 60.0) -> float:
        """Send frames until one is answered; return the seconds."""
        began = time.monotonic()
        while not self.send(patience_s=0.5):
            if time.monotonic() - began > patience_s:
                raise AssertionError("no frame was answered")
        return time.monotonic() - began


def kept(maps: Path) -> int:
    """Return the keyframes in the newest checkpoint of a folder."""
    files = sorted(maps.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
    return read_checkpoint(files[-1], 10**9).fusions if files else 0


def end_at_random_moment(
    times: int, number: signal.Signals, peer: Peer, folder: Path, dice: random.Random
) -> Outcome:
    """End slam_node while it maps; after a kill, start it again in the same map."""
    killed = number is signal.SIGKILL
    outcome = Outcome(f"`slam_node`: {number.name} while it maps" + ", restart" * killed)
    outcome.note = f"{ALLOWED} allowed" if killed else "0 allowed"
    for turn in range(times):
        maps, camera = folder / f"{number.name}_{turn}", Camera(peer)
        settings = SETTINGS | {"runtime.output": maps}
        with running(folder, [("slam_node", settings)]) as ends:
            outcome.times += 1
            peer.status.clear()
            peer.wait_for_slam("slam_node")
            answered = _send_until_dead(camera, ends[0], number, dice.uniform(0.3, 4.0))
            outcome.frames += answered
            code = ends[0].wait()
            if not killed and code != 0:
                outcome.failures.append(f"exit code {code}")
            _count_lost(outcome, answered, maps, ALLOWED if killed else 0)
            if killed and any(maps.glob("*.safetensors")):
                began = time.monotonic()
                again = settings | {"runtime.start_map": maps}
                ends.append(start(("slam_node", again), folder))
                camera.until_answered()
                outcome.recovery_s.append(time.monotonic() - began)
                if code := ends[1].end():
                    outcome.failures.append(f"exit code {code} after the restart")
            _check_files(outcome, maps)
    return outcome


def _send_until_dead(
    camera: Camera, node: NodeProcess, number: signal.Signals, after_s: float
) -> int:
    timer = threading.Timer(after_s, lambda: node.process.send_signal(number))
    timer.start()
    answered = 0
    while node.alive:
        answered += camera.send(alive=lambda: node.alive)
    timer.join()
    return answered


def _count_lost(outcome: Outcome, answered: int, maps: Path, allowed: int) -> None:
    try:
        lost = max(0, answered - kept(maps))
    except E2ESlamError as error:
        outcome.failures.append(f"a file that does not load: {error}")
        return
    outcome.lost.append(lost)
    if lost > allowed:
        outcome.failures.append(f"lost {lost}")


def _check_files(outcome: Outcome, maps: Path) -> None:
    """Complain about files that should not be there."""
    names = {path.name for path in maps.glob("*")} if maps.exists() else set()
    extra = names - {"map.ply", "map.safetensors", "checkpoint.safetensors"}
    if any(name.endswith(".partial") for name in extra):
        outcome.failures.append("an unfinished file is left")
    elif extra:
        outcome.failures.append(f"left {', '.join(sorted(extra))}")


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a file system of its own size."""
    folder.mkdir(parents=True)
    size = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def bad_disk(times: int, full: bool, peer: Peer, folder: Path) -> Outcome:
    """Fill the disk or make it read-only, save, mend it, save again, and end on a bad one."""
    outcome = Outcome("disk full" if full else "disk read-only")
    for turn in range(times):
        camera = Camera(peer)
        with small_disk(folder / f"disk_{full}_{turn}", 64) as disk:
            settings = SETTINGS | {"runtime.output": disk / "maps"}
            with running(folder, [("slam_node", settings)]) as (slam,):
                outcome.times += 1
                peer.status.clear()
                peer.wait_for_slam("slam_node")
                answered = sum(camera.send() for _ in range(3))
                _spoil(disk, full)
                answered += sum(camera.send() for _ in range(2 * ALLOWED))
                if peer.call("/slam_node/save_map").success:
                    outcome.failures.append("a save succeeded")
                _mend(disk, full)
                began = time.monotonic()
                if not peer.call("/slam_node/save_map").success:
                    outcome.failures.append("no save after it was mended")
                outcome.recovery_s.append(time.monotonic() - began)
                outcome.lost.append(max(0, answered - kept(disk / "maps")))
                camera.send()
                _spoil(disk, full)
                if slam.end() != 1:
                    outcome.failures.append("exit code of a failed save is not 1")
                if kept(disk / "maps") < answered:
                    outcome.failures.append("the saved map was damaged")
    return outcome


def _spoil(disk: Path, full: bool) -> None:
    if not full:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        return
    with (disk / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(b"\0" * 65536):
                pass
        except OSError:
            pass


def _mend(disk: Path, full: bool) -> None:
    if full:
        (disk / "filler").unlink()
    else:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


def with_slam(
    act: Callable[[Outcome, Peer, Camera, NodeProcess], None],
    outcome: Outcome,
    peer: Peer,
    folder: Path,
) -> Outcome:
    """Run one fault against one slam_node that must survive it and end well."""
    maps = folder / f"maps_{len(list(folder.iterdir()))}"
    with running(folder, [("slam_node", SETTINGS | {"runtime.output": maps})]) as (slam,):
        peer.status.clear()
        peer.wait_for_slam("slam_node")
        camera = Camera(peer)
        camera.second = 1000.0
        camera.send()
        act(outcome, peer, camera, slam)
        if not slam.alive:
            outcome.failures.append(f"ended with {slam.wait()}")
        elif code := slam.end():
            outcome.failures.append(f"exit code {code}")
        if "Traceback" in slam.output or "internal" in slam.output:
            outcome.failures.append("an unexpected exception")
    return outcome


def clock_jumps(outcome: Outcome, peer: Peer, camera: Camera, _: NodeProcess) -> None:
    """Let the stamps jump; count the frames until one is mapped again."""
    for jump_s in (3600.0, -3600.0, -0.5, 86400.0 * 365, -86400.0 * 365):
        outcome.times += 1
        camera.second += jump_s - (1.0 if jump_s == -0.5 else 0.0)
        mapped, began, sent = len(peer.keyframes), time.monotonic(), 0
        while len(peer.keyframes) == mapped and sent < 20:
            camera.send(patience_s=5.0)
            sent += 1
            # The keyframe may come a little later than the answer.
            came_in_time(lambda before=mapped: len(peer.keyframes) > before, 0.3)
        if len(peer.keyframes) == mapped:
            outcome.failures.append(f"not mapped after {jump_s:g} s")
        outcome.lost.append(sent - 1)
        outcome.recovery_s.append(time.monotonic() - began)


def fuzzed(count: int, dice: random.Random) -> Callable[..., None]:
    """Return the fault: messages with flipped, missing and random bytes on every input."""

    def act(outcome: Outcome, peer: Peer, camera: Camera, slam: NodeProcess) -> None:
        outputs = (peer.image_out, peer.info_out, peer.depth_out, peer.pose_out)
        for index in range(count):
            messages = peer.messages(camera.second + 0.001 * index)
            which = dice.randrange(4)
            outputs[which].publish(_damaged(bytes(serialize_message(messages[which])), dice))
            outcome.times += 1
            if index % 100 == 0 and not slam.alive:
                return
            time.sleep(0.002)
        peer.status.clear()
        wait_for(lambda: "/slam_node" in peer.status or not slam.alive, "the next report")
        outcome.note = f"{sum(peer.problems().values()):,} problems counted"
        if not peer.problems():
            outcome.failures.append("nothing was counted")
        camera.second += 10.0
        mapped, began = len(peer.keyframes), time.monotonic()
        while len(peer.keyframes) == mapped and time.monotonic() - began < 60.0:
            camera.send(patience_s=5.0)
        if len(peer.keyframes) == mapped:
            outcome.failures.append("no frame was mapped afterwards")
        outcome.recovery_s.append(time.monotonic() - began)

    return act


def _damaged(message: bytes, dice: random.Random) -> bytes:
    kind = dice.randrange(3)
    if kind == 0:
        return message[: dice.randrange(5, len(message))]
    if kind == 1:
        return message[:4] + dice.randbytes(dice.randrange(1, 4000))
    # The header and the sizes are in the first bytes: hits there do most.
    changed = bytearray(message)
    for _ in range(dice.randrange(1, 9)):
        changed[dice.randrange(4, min(len(changed), 200))] = dice.randrange(256)
    return bytes(changed)


def slow_consumer(outcome: Outcome, peer: Peer, camera: Camera, _: NodeProcess) -> None:
    """Let a subscriber take seconds for each message; count frames that were not answered."""
    domain = int(os.environ["ROS_DOMAIN_ID"])
    connected = threading.Event()

    def take_long(_: object) -> None:
        connected.set()
        time.sleep(2.0)

    with peer_in(domain) as slow:
        slow.create_subscription(Image, "keyframe/image", take_long, reliable(100))
        # Latched: the map so far comes as soon as the node has found the subscriber.
        slow.create_subscription(PointCloud2, "cloud_map", take_long, latched())
        if not connected.wait(20.0):
            outcome.failures.append("the slow subscriber got no map")
        sent = 40
        answered = sum(camera.send() for _ in range(sent))
    outcome.times += sent
    outcome.lost.append(sent - answered)


def killed_stage(name: str, times: int, peer: Peer, folder: Path) -> Outcome:
    """Kill one of the split nodes, send on, restart it; count keyframes that reach no map."""
    outcome = Outcome(f"`{name}` of the split system: SIGKILL, three frames, restart")
    outcome.note = "3 frames sent meanwhile"
    maps = folder / f"split_{name}"
    nodes: list[tuple[str, dict[str, object]]] = [
        (stage, SETTINGS | ({"runtime.output": maps} if stage == "mapper_node" else {}))
        for stage in STAGES
    ]
    with running(folder, nodes) as ends:
        peer.status.clear()
        peer.wait_for_slam(*STAGES)
        camera = Camera(peer)
        for _ in range(times):
            outcome.times += 1
            if not camera.send():
                outcome.failures.append("a frame was not answered before the kill")
            place = STAGES.index(name)
            ends[place].process.kill()
            ends[place].wait()
            unheard = [camera.second + number for number in (1, 2, 3)]
            for _ in unheard:
                camera.send(patience_s=0.5)
            began = time.monotonic()
            again = nodes[place]
            if name == "mapper_node" and any(maps.glob("*.safetensors")):
                again = (name, again[1] | {"runtime.start_map": maps})
            ends[place] = start(again, folder)
            camera.until_answered()
            outcome.recovery_s.append(time.monotonic() - began)
            outcome.lost.append(_unanswered(peer, unheard))
        for end in reversed(ends):
            if code := end.end():
                outcome.failures.append(f"{end.name}: exit code {code}")
    return outcome


def _unanswered(peer: Peer, seconds: list[float]) -> int:
    """Return how many frames sent meanwhile have no answer, 5 s later."""
    wanted = {round(second * 1e9) for second in seconds}
    came_in_time(lambda: wanted <= set(peer.processed), 5.0)
    return len(wanted - set(peer.processed))


def run(options: argparse.Namespace) -> list[Outcome]:
    """Run every fault, print each row."""
    dice, rows = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as place, peer_in(options.domain) as peer:
        folder, times = Path(place), options.times
        faults: list[Callable[[], Outcome]] = [
            *(
                lambda number=number: end_at_random_moment(times, number, peer, folder, dice)
                for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
            ),
            *(lambda stage=s: killed_stage(stage, times, peer, folder) for s in STAGES),
            lambda: with_slam(clock_jumps, Outcome("stamps jump"), peer, folder),
            lambda: with_slam(
                fuzzed(options.messages, dice), Outcome("damaged messages"), peer, folder
            ),
            lambda: with_slam(slow_consumer, Outcome("slow consumer, frames"), peer, folder),
        ]
        if os.geteuid() == 0:
            faults += [lambda full=full: bad_disk(1, full, peer, folder) for full in (True, False)]
        # Each has a name to be chosen by; see --only.
        names = [*(f"slam_node {n}" for n in ("SIGKILL", "SIGINT", "SIGTERM")), *STAGES]
        names += ["stamps", "messages", "consumer", "disk full", "disk read-only"]
        for name, fault in zip(names, faults, strict=False):
            if options.only and not any(word in name for word in options.only):
                continue
            try:
                rows.append(fault())
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                rows.append(Outcome("a fault that could not be tried", failures=[str(error)]))
            print(rows[-1].row(), flush=True)
    return rows


def table(rows: list[Outcome], options: argparse.Namespace) -> str:
    """Return the part of the page that this script writes."""
    head = "| fault | times | most lost | median time to recover | failures |\n"
    head += "|---|---|---|---|---|\n"
    return head + "".join(f"{row.row()}\n" for row in rows) + "\n" + told(options)


def told(options: argparse.Namespace) -> str:
    """Return the line that says how the figures came about."""
    command = f"python bench/faults.py --times {options.times} --messages {options.messages}"
    only = f" --only {' '.join(options.only)}" if options.only else ""
    load = os.getloadavg()[0]
    return f"`{command} --seed {options.seed}{only}`. {machine_line('cpu')}. Load {load:.1f}.\n"


def merged(old: str, rows: list[Outcome], options: argparse.Namespace) -> str:
    """Return the old table with the rows of some faults in place of those that it had."""
    new = {row.row().split("|")[1]: f"{row.row()}\n" for row in rows}
    kept_lines = [
        new.get(line.split("|")[1], line) if line.startswith("|") else line
        for line in old.splitlines(keepends=True)
    ]
    return "".join(kept_lines) + "\n" + told(options)


def main() -> None:
    """Run the faults, print the table and, if wanted, put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="kills and signals of each kind")
    parser.add_argument("--messages", type=int, default=10_000, help="damaged messages")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--domain", type=int, default=int(os.environ.get("ROS_DOMAIN_ID", "77")))
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        help="only faults whose name has one of these words: SIGKILL, SIGINT, SIGTERM, a stage of "
        "the split system, stamps, messages, consumer, disk",
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    options = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(options.domain)
    rows = run(options)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        old, _, after = rest.partition(END)
        text = merged(old, rows, options) if options.only else table(rows, options)
        PAGE.write_text(before + BEGIN + text + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
