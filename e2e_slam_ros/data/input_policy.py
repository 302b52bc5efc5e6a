"""What an image stream is: colour, depth or neither, with a score and the reasons.

This is the only rule for topics of recordings, files of folders and live topics. Evidence counts
in this order of trust: message type, encoding, frame_id, namespace, name. The points of one kind
of evidence outweigh those of all later kinds together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.stream import IMAGE, Stream

_ENCODING, _FRAME, _NAMESPACE, _NAME = 100, 40, 20, 10
_GREY_8, _GREY_16 = 80, 75
_FALSE_COLOUR = 60
_OPAQUE = ("video", "unknown")
# Two choices this near are told to the user.
_CLOSE = 10

_COLOUR = re.compile(
    r"^(rgba?8|bgra?8|rgba?16|bgra?16|bayer_.*|yuv422.*|yuyv|uyvy|nv\d\d|8UC[34]|16UC[34])$"
)
_GREY8 = ("mono8", "8UC1", "8SC1")
_DEPTH = ("16UC1", "16SC1", "32FC1", "64FC1")
_COLOUR_WORDS = ("rgb", "color", "colour")
_OTHER_CAMERA = ("infra", "ir", "mono", "right", "thermal", "lwir")
_DRAWN = ("debug", "overlay", "annotated", "keyframe", "visuali", "markers", "detections", "mask")
_DEPTH_WORDS = ("depth",)
_NO_DEPTH = (
    *("confidence", "infra", "ir", "amplitude", "intensity", "disparity", "thermal", "mask"),
    *("label", "semantic", "segment", "normal", "cost", "uncertainty", "variance", "reflect"),
)
_REGISTERED = ("aligned", "registered", "depth_to_rgb", "depth_to_color", "depth_to_colour")
# Metres that an indoor or outdoor depth camera can measure.
_METRES = (0.05, 60.0)


@dataclass(frozen=True)
class Verdict:
    """What one stream is: ``role`` is "colour", "depth" or "none".

    >>> verdict = judge(Stream("/camera/color/image_raw", IMAGE, "rgb8", frame_id="c"))
    >>> verdict.role, verdict.score, verdict.sentence()
    ('colour', 120, '/camera/color/image_raw (rgb8, c; 120 points)')
    """

    stream: Stream
    role: str
    score: int
    reasons: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return the stream, what it holds, and why it was not taken or its points."""
        why = f"; {self.score} points" if self.role != "none" else ""
        reasons = "".join(f", {reason}" for reason in self.reasons)
        return f"{self.stream.name} ({self.stream.words}{reasons}{why})"


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
        """Return the choice in words: what is used, what is not, and how to choose."""
        lines = [f"colour = {self.colour.sentence()}"]
        if self.depth is not None:
            lines.append(f"depth = {self.depth.sentence()}")
        for other in self.others:
            role = {"colour": "image_topic", "depth": "depth_topic"}.get(other.role, "")
            unused = self.colour if other.role == "colour" else self.depth
            how = ""
            if role and unused is not None and unused.score - other.score <= _CLOSE:
                how = f"; close: choose it with {option(role, other.stream.name)}"
            elif other.role == "none" and other.stream.encoding in _DEPTH:
                how = f"; if it is depth: {option('depth_topic', other.stream.name)}"
            lines.append(f"not taken: {other.sentence()}{how}")
        return lines


def judge(stream: Stream) -> Verdict:
    """Return what a stream is by itself. Which depth belongs to which colour: `select`."""
    encoding, said = stream.encoding, stream.said
    hint = _hint(stream)
    if encoding == "video":
        return Verdict(stream, "none", 0, (f"{stream.container} video is not decoded",))
    if encoding == "unknown":
        return Verdict(stream, "none", 0, (f"format {stream.container} is not known",))
    eight = encoding in _GREY8 or (bool(_COLOUR.match(encoding)) and "16" not in encoding)
    if said in _DEPTH and (eight or stream.container == "jpeg"):
        return Verdict(stream, "none", 0, ("8-bit: its depth is lost",))
    if hint == "depth" and (encoding in _GREY8 or (stream.container == "jpeg" and not said)):
        return Verdict(stream, "none", 0, ("8-bit: its depth is lost",))
    if encoding in _DEPTH or (encoding == "mono16" and (said in _DEPTH or hint == "depth")):
        return _judge_depth(stream, hint)
    if _COLOUR.match(encoding) or encoding in _GREY8 or encoding in ("mono16", "16UC2"):
        return _judge_colour(stream, hint)
    return Verdict(stream, "none", 0, (f"encoding {encoding} holds no picture",))


def select(
    streams: Sequence[Stream], image: Stream | None = None, depth: Stream | None = None
) -> Selection:
    """Return the colour stream, and the depth stream that fits it best.

    Args:
        image, depth: streams that the user named. They are taken as they are.

    Raises:
        DataError: there is no colour stream.
    """
    verdicts = [judge(stream) for stream in streams]
    colours = [v for v in verdicts if v.role == "colour" and v.stream != depth]
    depths = [v for v in verdicts if v.role == "depth" and v.stream != image]
    if image is not None:
        colours = [Verdict(image, "colour", _ENCODING, ("named",))]
    if depth is not None:
        depths = [Verdict(depth, "depth", _ENCODING, ("named",))]
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


def _judge_depth(stream: Stream, hint: str) -> Verdict:
    if hint.startswith("not "):
        return Verdict(stream, "none", 0, (f"'{hint[4:]}' in its name",))
    if (
        stream.encoding in ("32FC1", "64FC1")
        and hint != "depth"
        and "depth" not in stream.frame_id
    ):
        values = stream.values
        if values is None or not _METRES[0] <= values[1] <= values[2] <= _METRES[1]:
            seen = "" if values is None else f"values {values[0]:g}..{values[2]:g}"
            reasons = ("no depth in its name", seen) if seen else ("no depth in its name",)
            return Verdict(stream, "none", 0, reasons)
    return Verdict(stream, "depth", _ENCODING)


def _judge_colour(stream: Stream, hint: str) -> Verdict:
    score = _ENCODING
    if stream.encoding in _GREY8:
        score = _GREY_8
    elif stream.encoding == "mono16":
        score = _GREY_16
    reasons = []
    name = stream.base.rpartition("/")[2]
    for text, points in ((stream.frame_id, _FRAME), (stream.namespace, _NAMESPACE), (name, _NAME)):
        if _has(text, _COLOUR_WORDS):
            score += points
        elif (word := _word(text, _OTHER_CAMERA)) is not None:
            score -= points
            reasons.append(f"'{word}' in its name")
    if (word := _word(stream.name, _DRAWN)) is not None:
        score -= 2 * _ENCODING
        reasons.append(f"drawn: '{word}' in its name")
    if hint == "depth" and not _has(stream.name, _COLOUR_WORDS):
        score -= _FALSE_COLOUR
        reasons.append("a picture of depth by its name")
    return Verdict(stream, "colour", score, tuple(reasons))


def _fit(depth: Verdict, image: Stream) -> Verdict:
    """Return a depth verdict with the points for how well it fits an image."""
    stream, score, reasons = depth.stream, depth.score, list(depth.reasons)
    if needs_registration(stream.frame_id, image.frame_id):
        score -= _FRAME
        reasons.append(f"not in the image's frame {image.frame_id}")
    elif stream.frame_id and image.frame_id:
        score += _FRAME
    if _has(stream.namespace, _REGISTERED):
        score += _NAMESPACE
    if _has(stream.base.rpartition("/")[2], _REGISTERED):
        score += _NAME
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


def _hint(stream: Stream) -> str:
    """Return what the name says: "depth", "not <word>" or "". The last telling word decides."""
    for part in reversed(stream.base.split("/")):
        if _has(part, _DEPTH_WORDS):
            other = next((w for w in _NO_DEPTH if w in part and f"to_{w}" not in part), None)
            return "depth" if other is None or other == "ir" else f"not {other}"
        if (word := _word(part, _NO_DEPTH)) is not None:
            return f"not {word}"
    return ""


def _word(text: str, words: Iterable[str]) -> str | None:
    """Return the first of the words in a text. "ir" must stand alone."""
    text = text.lower()
    for word in words:
        pattern = rf"(^|[/_\d-]){word}($|[/_\d-])" if len(word) <= 2 else re.escape(word)
        if re.search(pattern, text):
            return word
    return None


def _has(text: str, words: Iterable[str]) -> bool:
    return _word(text, words) is not None


def _no_colour(verdicts: Sequence[Verdict]) -> DataError:
    there = "; ".join(v.sentence() for v in verdicts) or "no image topic at all"
    readable = [v for v in verdicts if v.role == "none" and v.stream.encoding not in _OPAQUE]
    names = " or ".join(v.stream.name for v in readable)
    do = option("image_topic", names) if names else "record the camera's images, raw or as JPEG"
    return DataError.from_parts(
        "images",
        there,
        "a colour image topic (sensor_msgs Image, or CompressedImage as JPEG or PNG)",
        f"name the one to use: {do}" if names else do,
    )
