"""Decoder of video packets as they arrive, through PyAV."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.packet_video import begins_anew

_MOST_PIXELS = 64_000_000


class VideoDecoder:
    """Decodes packets in the order in which they come. It begins with a key frame.

    After a packet that cannot be decoded it waits for the next key frame.

    Args:
        codec: name of FFmpeg's decoder.

    Raises:
        ImportError: PyAV is not installed.

    >>> from e2e_slam_ros.data.packet_video import can_decode
    >>> VideoDecoder("h264").frames(b"no packet", 0) if can_decode() else []
    []
    """

    def __init__(self, codec: str) -> None:
        import av

        self._av: Any = av
        self._codec = codec
        self._decoder: Any = None
        self.waiting = 0

    def frames(self, data: bytes, number: int) -> list[tuple[int, npt.NDArray[np.uint8]]]:
        """Return the frames that a packet completes: number and (H, W, 3) RGB.

        ``waiting`` counts packets since the last frame. The number is that of the packet to which
        a frame belongs.
        """
        found: list[tuple[int, npt.NDArray[np.uint8]]] = []
        self.waiting += 1
        if self._decoder is None and (not data or begins_anew(self._codec, data) is False):
            return found
        try:
            if self._decoder is None:
                # A PyAV without this decoder raises ValueError.
                self._decoder = self._av.CodecContext.create(self._codec, "r")
                self._decoder.thread_count = 1  # more threads would give frames later
            packet = self._av.Packet(data)
            packet.pts = number
            for frame in self._decoder.decode(packet):
                if frame.width * frame.height > _MOST_PIXELS:
                    raise ValueError(f"{frame.width}x{frame.height} pixels")
                image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                found.append((number if frame.pts is None else int(frame.pts), image))
        except (self._av.FFmpegError, OSError, ValueError):
            self._decoder = None
            return []
        if found:
            self.waiting = 0
        return found
