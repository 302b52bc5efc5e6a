"""The role of one image stream: colour, depth or neither, with a score and the reasons.

Evidence counts in this order of trust: message type, encoding, frame_id, namespace, name. The
points of one kind of evidence outweigh those of all later kinds together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from e2e_slam_ros.data.encodings import COLOR_ENCODINGS, DEPTH_ENCODINGS
from e2e_slam_ros.data.packet_video import codec_of
from e2e_slam_ros.data.stream import Stream

BY_ENCODING, BY_FRAME, BY_NAMESPACE, BY_NAME = 100, 40, 20, 10
_GREY_8, _GREY_16 = 80, 75
# Of the same camera, whole images are better: each can be decoded alone.
_VIDEO = 95
_FALSE_COLOUR = 60
_GREY8 = ("mono8", "8UC1", "8SC1")
# 16-bit grey is a picture unless something says that it is depth.
DEPTH_ONLY = tuple(name for name in DEPTH_ENCODINGS if name != "mono16")
_COLOUR_WORDS = ("rgb", "color", "colour")
_OTHER_CAMERA = ("infra", "ir", "mono", "right", "thermal", "lwir")
_DRAWN = ("debug", "overlay", "annotated", "keyframe", "visuali", "markers", "detections", "mask")
_DEPTH_WORDS = ("depth",)
_NO_DEPTH = (
    *("confidence", "infra", "ir", "amplitude", "intensity", "disparity", "thermal", "mask"),
    *("label", "semantic", "segment", "normal", "cost", "uncertainty", "variance", "reflect"),
)
# Metres that an indoor or outdoor depth camera can measure.
_METRES = (0.05, 60.0)


@dataclass(frozen=True)
class Verdict:
    """The role of one stream: "colour", "depth" or "none".

    >>> from e2e_slam_ros.data.stream import IMAGE
    >>> verdict = judge(Stream("/camera/color/image_raw", IMAGE, "rgb8", frame_id="c"))
    >>> verdict.role, verdict.score, verdict.sentence()
    ('colour', 120, '/camera/color/image_raw (rgb8, c; 120 points)')
    """

    stream: Stream
    role: str
    score: int
    reasons: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return the stream with its encoding, frame, reasons and points, for messages."""
        why = f"; {self.score} points" if self.role != "none" else ""
        reasons = "".join(f", {reason}" for reason in self.reasons)
        return f"{self.stream.name} ({self.stream.words}{reasons}{why})"


def judge(stream: Stream, videos: bool = False) -> Verdict:
    """Return the role of a stream, judged without the other streams.

    ``videos``: streams of video packets can be decoded.
    """
    encoding, said = stream.encoding, stream.said
    hint = _hint(stream)
    if encoding == "video" and videos and hint != "depth" and codec_of(stream.container):
        return _judge_colour(stream, hint)
    if encoding == "video":
        how = " (pip install av)" if codec_of(stream.container) else ""
        return Verdict(stream, "none", 0, (f"{stream.container} video is not decoded{how}",))
    if encoding == "unknown":
        return Verdict(stream, "none", 0, (f"format {stream.container} is not known",))
    is_colour = encoding in COLOR_ENCODINGS
    eight = encoding in _GREY8 or (is_colour and "16" not in encoding)
    if said in DEPTH_ONLY and (eight or stream.container == "jpeg"):
        return Verdict(stream, "none", 0, ("8-bit: its depth is lost",))
    if hint == "depth" and (encoding in _GREY8 or (stream.container == "jpeg" and not said)):
        return Verdict(stream, "none", 0, ("8-bit: its depth is lost",))
    if encoding in DEPTH_ONLY or (
        encoding == "mono16" and (said in DEPTH_ONLY or hint == "depth")
    ):
        return _judge_depth(stream, hint)
    if is_colour:
        return _judge_colour(stream, hint)
    return Verdict(stream, "none", 0, (f"encoding {encoding} is not decoded",))


def _judge_depth(stream: Stream, hint: str) -> Verdict:
    if hint.startswith("not "):
        return Verdict(stream, "none", 0, (f"'{hint[4:]}' in its name",))
    is_float = stream.encoding in ("32FC1", "64FC1")
    if not is_float or hint == "depth" or "depth" in stream.frame_id:
        return Verdict(stream, "depth", BY_ENCODING)
    # Floats without the word may be anything. Their values tell.
    reasons = ["no depth in its name"]
    if stream.values is not None:
        smallest, median, largest = stream.values
        if _METRES[0] <= median <= largest <= _METRES[1]:
            return Verdict(stream, "depth", BY_ENCODING)
        reasons.append(f"values {smallest:g}..{largest:g}")
    return Verdict(stream, "none", 0, tuple(reasons))


def _judge_colour(stream: Stream, hint: str) -> Verdict:
    score = BY_ENCODING
    if stream.encoding in _GREY8:
        score = _GREY_8
    elif stream.encoding == "mono16":
        score = _GREY_16
    elif stream.encoding == "video":
        score = _VIDEO
    reasons = []
    name = stream.base.rpartition("/")[2]
    for text, points in (
        (stream.frame_id, BY_FRAME),
        (stream.namespace, BY_NAMESPACE),
        (name, BY_NAME),
    ):
        if has_word(text, _COLOUR_WORDS):
            score += points
        elif (word := _first_word(text, _OTHER_CAMERA)) is not None:
            score -= points
            reasons.append(f"'{word}' in its name")
    if (word := _first_word(stream.name, _DRAWN)) is not None:
        score -= 2 * BY_ENCODING
        reasons.append(f"drawn: '{word}' in its name")
    if hint == "depth" and not has_word(stream.name, _COLOUR_WORDS):
        score -= _FALSE_COLOUR
        reasons.append("a picture of depth by its name")
    return Verdict(stream, "colour", score, tuple(reasons))


def _hint(stream: Stream) -> str:
    """Return the meaning of the name: "depth", "not <word>" or "" (none).

    The last part of the name that has a meaning decides.
    """
    for part in reversed(stream.base.split("/")):
        if has_word(part, _DEPTH_WORDS):
            other = next((w for w in _NO_DEPTH if w in part and f"to_{w}" not in part), None)
            return "depth" if other is None or other == "ir" else f"not {other}"
        if (word := _first_word(part, _NO_DEPTH)) is not None:
            return f"not {word}"
    return ""


def _first_word(text: str, words: Iterable[str]) -> str | None:
    """Return the first of ``words`` that a text contains. One of two letters must stand alone."""
    text = text.lower()
    for word in words:
        pattern = rf"(^|[/_\d-]){word}($|[/_\d-])" if len(word) <= 2 else re.escape(word)
        if re.search(pattern, text):
            return word
    return None


def has_word(text: str, words: Iterable[str]) -> bool:
    """Return whether a text contains one of ``words``."""
    return _first_word(text, words) is not None
