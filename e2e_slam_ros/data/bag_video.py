"""A video topic of a recording: packets in messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.bag_file import BagFile, MessageKey
from e2e_slam_ros.data.packet_video import PacketVideo, begins_anew, codec_of
from e2e_slam_ros.data.stream import PACKET, Stream

_KEY_FRAME = 1


class BagVideo:
    """Decodes the messages of a video topic. Packets are in the order of recording.

    Args:
        keys: of all messages of the topic.

    Raises:
        DataError: PyAV is not installed, or a message cannot be read.

    >>> codec_of("hevc")
    'hevc'
    """

    def __init__(self, bag: BagFile, stream: Stream, keys: Sequence[MessageKey]) -> None:
        self._bag, self._name = bag, stream.name
        self._keys = sorted(keys, key=lambda key: key.recorded_ns)
        self._number = {key: number for number, key in enumerate(self._keys)}
        codec = codec_of(stream.container)
        starts = self._starts(stream.kind, codec)
        self._video = PacketVideo(
            codec, self._packet, starts, len(self._keys), f"topic {stream.name}"
        )

    def image(self, key: MessageKey) -> npt.NDArray[np.uint8]:
        """Return the frame of a message as (H, W, 3) RGB.

        Raises:
            DataError: it cannot be decoded.
        """
        return self._video.image(self._number[key])

    def _packet(self, number: int) -> bytes:
        return _data(self._bag.message(self._name, self._keys[number]))

    def _starts(self, kind: str, codec: str) -> list[int]:
        """Return the numbers of the packets with which a decoder can begin."""
        wanted = {key.recorded_ns: number for number, key in enumerate(self._keys)}
        starts = []
        for recorded_ns, message in self._bag.messages(self._name):
            number = wanted.get(recorded_ns)
            if number is None:
                continue
            shown = begins_anew(codec, _data(message))
            if shown is None:
                shown = number == 0 or (kind == PACKET and bool(message.flags & _KEY_FRAME))
            if shown:
                starts.append(number)
        return sorted(starts)


def _data(message: Any) -> bytes:
    return bytes(memoryview(message.data))
