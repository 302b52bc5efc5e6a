"""Frames of a stream of video packets, decoded through PyAV."""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError

# Words in the encodings of ffmpeg_image_transport, foxglove and image_transport: FFmpeg's decoder.
_CODECS = (
    (r"264|avc", "h264"),
    (r"265|hevc", "hevc"),
    (r"av1", "av1"),
    (r"vp9", "vp9"),
    (r"vp8", "vp8"),
    (r"mpeg4", "mpeg4"),
)
# Packets that a decoder may take before it gives the first frame, and frames that are kept.
_DELAY = 32
_MOST_PIXELS = 64_000_000
_START = re.compile(rb"\x00\x00\x01(..)", re.DOTALL)


def codec_of(encoding: str) -> str:
    """Return the name of FFmpeg's decoder for an encoding, or "".

    >>> codec_of("libx264"), codec_of("hevc;rgb8;bgr8"), codec_of("theora")
    ('h264', 'hevc', '')
    """
    first = encoding.partition(";")[0].lower()
    return next((name for pattern, name in _CODECS if re.search(pattern, first)), "")


def can_decode() -> bool:
    """Return whether PyAV is installed."""
    try:
        return find_spec("av") is not None
    except (ImportError, ValueError):
        return False


def begins_anew(codec: str, data: bytes) -> bool | None:
    """Return whether a decoder can begin with a packet; None if the codec does not show it.

    H.264: an IDR picture or parameters (types 5, 7). H.265: types 16 to 21 and 32 to 34.

    >>> begins_anew("h264", bytes([0, 0, 0, 1, 0x67, 1])), begins_anew("h264", bytes(8))
    (True, False)
    """
    if codec == "h264":
        return any(found[1][0] & 31 in (5, 7) for found in _START.finditer(data))
    if codec == "hevc":
        kinds = [found[1][0] >> 1 & 63 for found in _START.finditer(data)]
        return any(16 <= kind <= 21 or 32 <= kind <= 34 for kind in kinds)
    return None


class PacketVideo:
    """Frames by the number of their packet. Reading in order decodes each packet once.

    Several threads may read.

    Args:
        codec: name of FFmpeg's decoder.
        packet: returns the bytes of a packet.
        starts: numbers of the packets with which a decoder can begin, increasing.
        count: number of packets.
        what: the stream in messages.

    Raises:
        DataError: PyAV is not installed, or has no such decoder.

    >>> video = PacketVideo("h264", lambda number: b"", [0], 1, "topic /video")
    >>> try:
    ...     video.image(0)
    ... except DataError as refusal:
    ...     print("cannot" in str(refusal) or "no frame" in str(refusal))
    True
    """

    def __init__(
        self,
        codec: str,
        packet: Callable[[int], bytes],
        starts: Sequence[int],
        count: int,
        what: str,
    ) -> None:
        try:
            import av
        except ImportError as problem:
            raise DataError.from_parts(
                what, f"no PyAV ({problem})", "PyAV, which decodes videos", "pip install av"
            ) from problem
        try:
            av.CodecContext.create(codec, "r")
        except ValueError as problem:
            raise DataError.from_parts(
                what,
                f"no decoder for {codec or 'its format'} ({problem})",
                "a PyAV with this decoder",
                "pip install --upgrade av",
            ) from problem
        self._av: Any = av
        self._codec, self._packet, self._what = codec, packet, what
        self._starts, self._count = list(starts), count
        self._lock = threading.Lock()
        self._decoder: Any = None
        self._fed = 0
        self._ready: dict[int, Any] = {}

    def image(self, number: int) -> npt.NDArray[np.uint8]:
        """Return the frame of packet ``number`` as (H, W, 3) RGB.

        Raises:
            DataError: it cannot be decoded, or comes before the first key frame.
        """
        with self._lock:
            frame = self._found(number)
            if frame is None:
                raise DataError.from_parts(
                    f"{self._codec} frame {number} of {self._what}",
                    "no frame from the decoder",
                    "packets from a key frame on, whole and in order",
                    "record from the start of the stream, or with key frames more often",
                )
            if frame.width * frame.height > _MOST_PIXELS:
                raise DataError.from_parts(
                    f"frame {number} of {self._what}",
                    f"{frame.width}x{frame.height} pixels",
                    "what a camera has",
                    "record it again",
                )
            return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)

    def _found(self, number: int) -> Any:
        if number in self._ready:
            return self._ready[number]
        place = bisect_right(self._starts, number) - 1
        if place < 0:
            return None
        start = self._starts[place]
        if self._decoder is None or number < self._fed or start > self._fed:
            self._restart(start)
        last = min(self._count, number + 1 + _DELAY)
        while self._fed < last and number not in self._ready:
            self._feed(self._fed)
        if number not in self._ready and self._fed == self._count:
            self._take(None, -1)
            found = self._ready.get(number)
            self._decoder = None  # after its end a decoder takes no more
            return found
        return self._ready.get(number)

    def _restart(self, start: int) -> None:
        self._decoder = self._av.CodecContext.create(self._codec, "r")
        # More threads would give frames later.
        self._decoder.thread_count = 1
        self._fed = start
        self._ready.clear()

    def _feed(self, number: int) -> None:
        self._fed = number + 1
        data = self._packet(number)
        if data:
            packet = self._av.Packet(data)
            packet.pts = number
            self._take(packet, number)

    def _take(self, packet: Any, number: int) -> None:
        try:
            for frame in self._decoder.decode(packet):
                self._ready[number if frame.pts is None else int(frame.pts)] = frame
        except (self._av.FFmpegError, OSError, ValueError):
            return  # a damaged packet costs its own frame
        while len(self._ready) > 2 * _DELAY:
            del self._ready[min(self._ready)]
