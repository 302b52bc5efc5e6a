"""``e2e-slam inspect``: the contents of a recording, and the parts that a run would use."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from e2e_slam_ros.commands.inputs import add_input, input_of
from e2e_slam_ros.commands.terminal import FAILED, show_error
from e2e_slam_ros.config.errors import E2ESlamError

if TYPE_CHECKING:
    from e2e_slam_ros.commands.sequence import Offer
    from e2e_slam_ros.data.inspection import Inspection

NAME = "inspect"
_LABEL = 15


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        NAME,
        help="show the contents of a recording, the parts that a run would use, and why",
        description="Shows layout, topics, frames, rates, gaps, cameras, depth and poses of a "
        "recording on one page. A few images are decoded.",
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="a recording of any layout")
    parser.add_argument("--json", action="store_true", help="print the same as JSON")
    add_input(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Print the page. Return the exit code: 2 if the recording cannot be opened.

    Raises:
        E2ESlamError: the path does not exist, or is of no known layout.
    """
    from e2e_slam_ros.commands.sequence import look_at
    from e2e_slam_ros.data.inspection import Inspection, inspect_reader, streams_of
    from e2e_slam_ros.data.open import detect, open_reader

    options = input_of(arguments)
    layout, path = detect(arguments.source.expanduser(), options.dataset)
    streams = streams_of(path, layout, options)
    refusal: E2ESlamError | None = None
    offer: Offer | None = None
    page = Inspection(path.name, layout.name, layout.what, streams=streams)
    try:
        reader = open_reader(path, options=options)
        offer = look_at(reader, bool(arguments.pose_frame))
        page = inspect_reader(reader, layout, streams)
        getattr(reader, "close", lambda: None)()
    except E2ESlamError as error:
        refusal = error
    used = _used(offer)
    if arguments.json:
        content: dict[str, Any] = {"path": str(path), **page.to_json(), "used": used}
        content["refused"] = None if refusal is None else str(refusal)
        print(json.dumps(content, indent=2))
    else:
        _print(path, page, used)
        if refusal is not None:
            show_error(refusal)
    return 0 if refusal is None else FAILED


def _used(offer: Offer | None) -> dict[str, str]:
    """Return which parts a run with default parameters uses, in words."""
    if offer is None:
        return {}
    depth = "the recorded depth" if offer.has_depth else "the motion of the camera (no depth)"
    if offer.contradiction is not None:
        poses = f"refused: {offer.contradiction}"
    elif offer.has_pose:
        poses = "the recorded poses"
    else:
        poses = "none recorded: --set pose.source=visual finds them from the images"
    return {"depth": depth, "poses": poses}


def _print(path: Path, page: Inspection, used: dict[str, str]) -> None:
    lines = [f"{path}: {page.layout} ({page.files})"]
    rows = [*_rows(page), *((f"a run's {part}", text) for part, text in used.items())]
    lines += ["", *(f"{label:<{_LABEL}}{text}" for label, text in rows)] if rows else []
    if page.layout == "bag":
        lines += ["", *_topics(page)]
    if page.notes or page.left_out:
        lines += ["", "chosen, left out, and why:"]
    lines += [f"  {note}" for note in page.notes]
    lines += [f"  left out: {why} ({n} times)" for why, n in (page.left_out or {}).items()]
    Console().print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _rows(page: Inspection) -> list[tuple[str, str]]:
    if not page.frames:
        return []
    rate = "" if page.rate_hz is None else f", {page.rate_hz:g} a second"
    rows = [("frames", f"{page.frames} in {page.seconds:.1f} s{rate}")]
    if page.gap_count:
        told = ", ".join(f"{gap.length_s:g} s at {gap.start_s:g} s" for gap in page.gaps)
        rows.append(("gaps", f"{page.gap_count}; the longest: {told}"))
    if page.camera is not None:
        camera = page.camera
        size = f"{camera['width']}x{camera['height']}"
        view = f"{camera['view_width_deg']:g} x {camera['view_height_deg']:g} degrees"
        lens = camera["distortion"]
        bent = f"distortion {', '.join(f'{v:g}' for v in lens)}" if lens else "no distortion"
        inner = ", ".join(f"{key} {camera[key]:.6g}" for key in ("fx", "fy", "cx", "cy"))
        rows.append(("images", f"{size}, {page.image}"))
        rows.append(("camera", f"{inner}, {bent}, {view}"))
    rows.append(("depth", _depth(page)))
    moved = "" if page.moved_m is None else f", a path of {page.moved_m:g} m"
    count = f"{page.with_pose} of {page.frames} frames"
    frame = "map <- the camera's optical frame"
    rows.append(("poses", f"{count}{moved}, {frame}" if page.with_pose else "none"))
    return rows


def _depth(page: Inspection) -> str:
    if not page.with_depth:
        return "none"
    text = f"{page.with_depth} of {page.frames} frames, {page.depth}"
    if page.depth_m is not None:
        low, middle, high = page.depth_m
        text += f", {low:.2f} to {high:.2f} m (median {middle:.2f} m)"
    return text


def _topics(page: Inspection) -> list[str]:
    """Return a line a topic: name, type, messages, messages a second."""
    names = max((len(stream.name) for stream in page.streams), default=0)
    kinds = max((len(stream.kind) for stream in page.streams), default=0)
    lines = []
    for stream in page.streams:
        rate = "" if stream.rate_hz is None else f", {stream.rate_hz:g} a second"
        counted = f"{stream.count} messages{rate}"
        lines.append(f"{stream.name:<{names}}  {stream.kind:<{kinds}}  {counted}")
    return lines
