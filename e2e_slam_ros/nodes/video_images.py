"""Images of a compressed topic that carries a video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sensor_msgs.msg import CompressedImage, Image

from e2e_slam_ros.data.packet_video import can_decode, codec_of
from e2e_slam_ros.data.video_decoder import VideoDecoder
from e2e_slam_ros.nodes.conversions import image_message

# Headers of packets whose frame has not come.
_KEPT = 64
# Cameras send a key frame every second or two.
_LONG = 60


class VideoImages:
    """Makes raw images of CompressedImage messages with H.264 and the like (depthai, foxglove).

    Other messages are handed through. Without PyAV, videos are handed through as well, and are
    refused by their format where they are decoded.

    Args:
        notice: called with a sentence if many packets give no image.
    """

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice = notice
        self._decoder: VideoDecoder | None = None
        self._codec = ""
        self._number = 0
        self._headers: dict[int, Any] = {}

    def images(self, msg: Any) -> Sequence[Any]:
        """Return the images that a message completes: itself, or those of a video."""
        if not isinstance(msg, CompressedImage):
            return (msg,)
        codec = codec_of(str(msg.format)[:_KEPT])
        if not codec or not can_decode():
            return (msg,)
        if self._decoder is None or codec != self._codec:
            self._decoder, self._codec = VideoDecoder(codec), codec
        number, self._number = self._number, self._number + 1
        self._headers[number] = msg.header
        while len(self._headers) > _KEPT:
            del self._headers[min(self._headers)]
        found = self._decoder.frames(bytes(msg.data), number)
        if self._decoder.waiting and self._decoder.waiting % _LONG == 0:
            self._notice(
                f"{self._decoder.waiting} {codec} packets gave no image: a key frame is missing, "
                "or packets are lost; let the camera send key frames more often"
            )
        return [self._image(which, pixels) for which, pixels in found if which in self._headers]

    def _image(self, number: int, pixels: Any) -> Image:
        header = self._headers.pop(number)
        return image_message(pixels, "rgb8", header.stamp, header.frame_id)
