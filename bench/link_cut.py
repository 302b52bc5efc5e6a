#!/usr/bin/env python3
"""Cut the link between robot and computer of the split system; count what is lost.

    python bench/link_cut.py --times 3 --write        # as root, on Linux

The camera and keyframe_node are in one network namespace, depth_node and mapper_node in another.
Each has a virtual cable to a bridge. Cutting takes the computer's cable off the bridge: as with
a radio link, nobody is told. Fast DDS may use UDP alone, because both have the same /dev/shm.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from faults import PAGE, SETTINGS, Camera, came_in_time, kept, machine_line, peer_in

from nodes.ros_peer import NodeProcess, Peer

BEGIN = "<!-- table of bench/link_cut.py -->\n"
END = "<!-- end of the table of bench/link_cut.py -->\n"
ROBOT, COMPUTER, BRIDGE = "e2e_cut_robot", "e2e_cut_computer", "e2e_cut_br"
CABLES = {ROBOT: ("e2e_cut_r", "10.213.7.1/24"), COMPUTER: ("e2e_cut_c", "10.213.7.2/24")}
# Fast DDS takes a participant for gone 20 s after its last word.
CUTS_S = (3.0, 15.0, 22.0, 40.0)
_PATIENCE_S = 90.0


def ip(*words: str) -> None:
    """Run iproute2."""
    subprocess.run(["ip", *words], check=True)


@contextmanager
def two_networks() -> Iterator[None]:
    """Make both namespaces, their cables and the bridge; remove them at the end."""
    made: list[tuple[str, ...]] = []
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
        made.append(("link", "del", BRIDGE))
        ip("link", "set", BRIDGE, "up")
        for space, (cable, address) in CABLES.items():
            ip("netns", "add", space)
            made.append(("netns", "del", space))
            ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", cable, "master", BRIDGE, "up")
            ip("-n", space, "link", "set", "lo", "up")
            ip("-n", space, "addr", "add", address, "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", space, "route", "add", "default", "dev", "eth0")
        yield
    finally:
        for words in reversed(made):
            subprocess.run(["ip", *words], check=False)


def cut(is_cut: bool) -> None:
    """Take the computer's cable off the bridge, or put it back; from the robot's namespace."""
    master = ("nomaster",) if is_cut else ("master", BRIDGE)
    # The parent is this script, in the network where the bridge is.
    enter = ["nsenter", f"--net=/proc/{os.getppid()}/ns/net"]
    subprocess.run([*enter, "ip", "link", "set", CABLES[COMPUTER][0], *master], check=True)


def settle(peer: Peer) -> dict[str, int]:
    """Return what became of the keyframes, once they are answered and the stages have reported."""
    # What was kept comes one at a time, and may be asked for again.
    came_in_time(lambda: peer.status["/keyframe_node"]["unanswered"] == "0", 30.0)
    # Reports come once a second; nothing tells which of them has the last drop.
    time.sleep(2.5)
    told = peer.status["/keyframe_node"]
    fates = {name: int(told[f"{name}_behind"]) for name in ("fused", "dropped", "refused")}
    fates["unanswered"] = int(told["unanswered"])
    fates["lost"] = peer.problems("keyframe_node").get("keyframe_lost", 0)
    for stage in ("depth_node", "mapper_node"):
        fates[f"dropped by {stage}"] = int(peer.status[f"/{stage}"]["dropped"])
    return fates


def inside(options: argparse.Namespace) -> list[str]:
    """Run the cuts from the robot's namespace; return the rows of the table."""
    rows: list[str] = []
    with ExitStack() as ends:
        name = ends.enter_context(tempfile.TemporaryDirectory())
        peer = ends.enter_context(peer_in(options.domain))
        folder, maps = Path(name), Path(name) / "maps"
        nodes = []
        for stage in ("keyframe_node", "depth_node", "mapper_node"):
            within = () if stage == "keyframe_node" else ("ip", "netns", "exec", COMPUTER)
            more = {"runtime.output": maps} if stage == "mapper_node" else {}
            node = NodeProcess(stage, SETTINGS | more, folder / f"{stage}.log", within)
            ends.callback(node.process.wait)
            ends.callback(node.process.kill)
            nodes.append(node)
        peer.wait_for_slam(*(node.name for node in nodes))
        camera = Camera(peer)
        camera.until_answered()
        for length_s in CUTS_S:
            recovery_s, failed, sent, before = [], 0, 0, settle(peer)
            for _ in range(options.times):
                camera.send()
                cut(True)
                began, frames = time.monotonic(), []
                while time.monotonic() - began < length_s:
                    camera.send(patience_s=1.0)
                    frames.append(round(camera.second * 1e9))
                cut(False)
                began = time.monotonic()
                try:
                    camera.until_answered(_PATIENCE_S)
                    recovery_s.append(time.monotonic() - began)
                except AssertionError:
                    failed += 1
                sent += len(frames)
                fates = settle(peer)
            new = {name: count - before[name] for name, count in fates.items()}
            unheard = set(frames) - set(peer.processed)
            lost = new["dropped"] + new["lost"] + new["unanswered"] + len(unheard)
            print({name: count for name, count in new.items() if count}, flush=True)
            median = f"{sorted(recovery_s)[len(recovery_s) // 2]:.1f} s" if recovery_s else "-"
            said = (f"{length_s:g} s", options.times, sent, lost, median, failed)
            rows.append("| " + " | ".join(map(str, said)) + " |\n")
            print(rows[-1], end="", flush=True)
        answered, fates = len(set(peer.processed)), settle(peer)
        told = {node.name: peer.problems(node.name) for node in nodes}
        codes = [node.end() for node in reversed(nodes)]
        said = ", ".join(f"{count} {name}" for name, count in fates.items())
        rows.append(f"\n{answered} frames answered, {kept(maps)} in the saved map. ")
        rows.append(f"Keyframes: {said}. ")
        rows.append(f"Problems counted: {told}, exit codes {codes}. ")
    return rows


def main() -> None:
    """Make the networks and start this script again in the robot's; or, there, run the cuts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3, help="cuts of each length")
    parser.add_argument("--domain", type=int, default=int(os.environ.get("ROS_DOMAIN_ID", "77")))
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        environment = {
            "ROS_DOMAIN_ID": str(options.domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
            "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
        }
        command = ["ip", "netns", "exec", ROBOT, sys.executable, __file__, *sys.argv[1:]]
        with two_networks():
            raise SystemExit(
                subprocess.run([*command, "--inside"], env=os.environ | environment).returncode
            )
    head = "| cut for | times | frames sent meanwhile | lost | median time to recover "
    head += "| failures |\n"
    head += "|---|---|---|---|---|---|\n"
    text = head + "".join(inside(options))
    text += f"`python bench/link_cut.py --times {options.times}`. {machine_line('cpu')}. "
    text += f"Load {os.getloadavg()[0]:.1f}.\n"
    print(text)
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(before + BEGIN + text + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
