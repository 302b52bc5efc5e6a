"""The choice of the colour stream and of the depth stream that belongs to it.

`judge` gives each stream a role and points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.encodings import COLOR_ENCODINGS
from e2e_slam_ros.data.stream import IMAGE, Stream
from e2e_slam_ros.data.stream_verdict import (
    BY_ENCODING,
    BY_FRAME,
    BY_NAME,
    BY_NAMESPACE,
    DEPTH_ONLY,
    Verdict,
    has_word,
    judge,
)

# Two choices this near are told to the user.
_CLOSE = 10
_REGISTERED = ("aligned", "registered", "depth_to_rgb", "depth_to_color", "depth_to_colour")


@dataclass(frozen=True)
class Selection:
    """The streams of a run, and the others.

    >>> depth = Stream("/camera/depth/image", IMAGE, "16UC1", frame_id="camera")
    >>> chosen = select([Stream("/camera/image", IMAGE, "bgr8", frame_id="camera"), depth])
    >>> chosen.colour.stream.name, chosen.depth.stream.name
    ('/camera/image', '/camera/depth/image')
    """

    colour: Verdict
    depth: Verdict | None
    others: tuple[Verdict, ...] = ()

    def sentences(self) -> list[str]:
        """Return one line a stream: used or not, and the option that changes a close choice."""
        lines = [f"colour = {self.colour.sentence()}"]
        if self.depth is not None:
            lines.append(f"depth = {self.depth.sentence()}")
        for other in self.others:
            role = {"colour": "image_topic", "depth": "depth_topic"}.get(other.role, "")
            unused = self.colour if other.role == "colour" else self.depth
            how = ""
            if role and unused is not None and unused.score - other.score <= _CLOSE:
                how = f"; close: choose it with {option(role, other.stream.name)}"
            elif other.role == "none" and other.stream.encoding in DEPTH_ONLY:
                how = f"; if it is depth: {option('depth_topic', other.stream.name)}"
            lines.append(f"not taken: {other.sentence()}{how}")
        return lines


def select(
    streams: Sequence[Stream],
    image: Stream | None = None,
    depth: Stream | None = None,
    videos: bool = False,
) -> Selection:
    """Return the colour stream, and the depth stream that fits it best.

    Args:
        image, depth: streams that the user named. They are taken as they are.
        videos: streams of video packets can be decoded.

    Raises:
        DataError: there is no colour stream.
    """
    verdicts = [judge(stream, videos) for stream in streams]
    colours = [v for v in verdicts if v.role == "colour" and v.stream != depth]
    depths = [v for v in verdicts if v.role == "depth" and v.stream != image]
    if image is not None:
        colours = [Verdict(image, "colour", BY_ENCODING, ("named",))]
    if depth is not None:
        depths = [Verdict(depth, "depth", BY_ENCODING, ("named",))]
    if not colours:
        raise _no_colour(verdicts)
    pairs = [
        (colour, fitted)
        for colour in colours
        for fitted in [None, *(_fit(d, colour.stream) for d in depths)]
    ]
    best, partner = max(pairs, key=_pair_rank)
    used = {best.stream.name} | ({partner.stream.name} if partner else set())
    others = [
        _fit(v, best.stream) if v.role == "depth" else v
        for v in verdicts
        if v.stream.name not in used
    ]
    return Selection(best, partner, tuple(sorted(others, key=lambda v: (-v.score, v.stream.name))))


def needs_registration(depth: str, image: str) -> bool:
    """Return whether depth of one frame_id must be reprojected into the image of another."""
    return bool(depth and image) and depth.lstrip("/") != image.lstrip("/")


def _fit(depth: Verdict, image: Stream) -> Verdict:
    """Return a depth verdict with the points for how well it fits an image."""
    stream, score, reasons = depth.stream, depth.score, list(depth.reasons)
    if needs_registration(stream.frame_id, image.frame_id):
        score -= BY_FRAME
        reasons.append(f"not in the image's frame {image.frame_id}")
    elif stream.frame_id and image.frame_id:
        score += BY_FRAME
    if has_word(stream.namespace, _REGISTERED):
        score += BY_NAMESPACE
    if has_word(stream.base.rpartition("/")[2], _REGISTERED):
        score += BY_NAME
    shared = 0
    for a, b in zip(image.base.split("/")[1:], stream.base.split("/")[1:], strict=False):
        if a != b:
            break
        shared += 1
    return Verdict(stream, "depth", score + min(shared, 5), tuple(reasons))


def _pair_rank(
    pair: tuple[Verdict, Verdict | None],
) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    colour, depth = pair
    total = colour.score + (0 if depth is None else depth.score)
    raw = sum(v is not None and v.stream.kind == IMAGE for v in pair)
    other = "" if depth is None else depth.stream.name
    # compressedDepth is made for depth. Of equals the shorter name, then the first by alphabet.
    raw = 2 * raw + other.endswith("/compressedDepth")
    return total, raw, _before(colour.stream.name), _before(other)


def _before(name: str) -> tuple[int, ...]:
    return (-len(name), *(-ord(letter) for letter in name))


def _no_colour(verdicts: Sequence[Verdict]) -> DataError:
    there = "; ".join(v.sentence() for v in verdicts) or "no image topic at all"
    readable = [v for v in verdicts if v.stream.encoding in COLOR_ENCODINGS]
    names = " or ".join(v.stream.name for v in readable)
    do = option("image_topic", names) if names else "record the camera's images, raw or as JPEG"
    return DataError.from_parts(
        "images",
        there,
        "a colour image topic (sensor_msgs Image, or CompressedImage as JPEG or PNG)",
        f"name the one to use: {do}" if names else do,
    )
