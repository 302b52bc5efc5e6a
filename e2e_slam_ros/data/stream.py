"""Properties of an image stream known before it is used: a topic, live or recorded, or files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
PACKET = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
FOXGLOVE = "foxglove_msgs/msg/CompressedVideo"
FILE = "file"
IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE, PACKET, FOXGLOVE)
# An image transport appends its name to the topic.
TRANSPORTS = ("/compressed", "/compressedDepth", "/ffmpeg", "/theora", "/zstd")
# Video formats, of which one message is no whole image.
VIDEO = ("h264", "h265", "hevc", "av1", "vp8", "vp9", "mpeg", "theora")
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG"
_DEPTH_HEADER_BYTES = 12
_PIL_MODES = {"L": "mono8", "I;16": "mono16", "I;16B": "mono16", "I": "mono16", "1": "mono8"}


@dataclass(frozen=True)
class Stream:
    """An image topic, or the files of one kind.

    Attributes:
        name: topic, or folder of the files.
        kind: message type; "file" for files.
        encoding: name of sensor_msgs, of the pixels as they are stored.
        container: "raw", "jpeg", "png", "rvl" or a video format.
        said: encoding that a CompressedImage's format names for the original image, or "".
        frame_id: of the first image, without leading slash.
        size: (width, height), if known.
        values: (smallest, median, largest) of float pixels, if looked at.

    >>> Stream("/camera/depth/image_rect_raw", IMAGE, "16UC1").namespace
    '/camera/depth'
    """

    name: str
    kind: str
    encoding: str
    container: str = "raw"
    said: str = ""
    frame_id: str = ""
    size: tuple[int, int] | None = None
    values: tuple[float, float, float] | None = None

    @property
    def base(self) -> str:
        """Name without the suffix of an image transport."""
        return base_topic(self.name)

    @property
    def namespace(self) -> str:
        """Name up to the last slash, without a transport."""
        return self.base.rpartition("/")[0]

    @property
    def stored_words(self) -> str:
        """Encoding in words."""
        said = self.said or self.encoding
        return said if self.container == "raw" else f"{said} as {self.container}"

    @property
    def words(self) -> str:
        """Encoding and frame in words. Files have no frame."""
        frame = "" if self.kind == FILE else f", {self.frame_id or 'no frame_id'}"
        return f"{self.stored_words}{frame}"


def base_topic(name: str) -> str:
    """Return the image topic of a transport's topic.

    >>> base_topic("/camera/image_raw/compressed")
    '/camera/image_raw'
    """
    for transport in TRANSPORTS:
        if name.endswith(transport):
            return name[: -len(transport)]
    return name


def stream_of_message(name: str, kind: str, message: Any) -> Stream:
    """Return the stream of a topic by one of its messages, of a type in `IMAGE_TYPES`."""
    if kind == FOXGLOVE:
        return Stream(name, kind, "video", str(message.format), "", message.frame_id.lstrip("/"))
    frame_id = str(message.header.frame_id).lstrip("/")
    if kind == COMPRESSED_IMAGE:
        container, encoding, said, size = peek(str(message.format), message.data)
        return Stream(name, kind, encoding, container, said, frame_id, size)
    size = (int(message.width), int(message.height))
    encoding = str(message.encoding)
    if kind == PACKET:
        # Such as "h264;rgb8;bgr8;..." or "libx264": the codec comes first.
        return Stream(name, kind, "video", encoding.partition(";")[0], "", frame_id, size)
    values = _values(message, encoding) if encoding in ("32FC1", "64FC1") else None
    return Stream(name, kind, encoding, "raw", "", frame_id, size, values)


def peek(form: str, data: object) -> tuple[str, str, str, tuple[int, int] | None]:
    """Return (container, encoding, said, size) of a CompressedImage.

    The bytes decide, then the words of the format.

    >>> peek("h264", bytes(40))
    ('h264', 'video', '', None)
    """
    said = form.partition(";")[0].strip() if ";" in form else ""
    words = form.lower()
    for name in VIDEO:
        if name in words:
            return name, "video", said, None
    content = bytes(memoryview(data)[:4096])  # type: ignore[arg-type]
    if "compresseddepth" in words:
        container = "rvl" if "rvl" in words else "png"
        return container, said if said in ("16UC1", "32FC1") else "16UC1", said, None
    if not content.startswith((_JPEG, _PNG)):
        # compressed_depth_image_transport puts a header before the PNG.
        if content[_DEPTH_HEADER_BYTES:].startswith(_PNG):
            return "png", "16UC1", said, None
        other = words.partition(";")[2].strip() or words
        return other.split(" ")[0] or "unknown", "unknown", said, None
    container = "jpeg" if content.startswith(_JPEG) else "png"
    try:
        with Image.open(io.BytesIO(bytes(memoryview(data)))) as image:  # type: ignore[arg-type]
            mode, size = image.mode, image.size
    except Exception:  # noqa: BLE001 - a damaged first image says nothing of the others
        return container, "rgb8", said, None
    return container, _PIL_MODES.get(mode, "rgb8"), said, size


def stream_of_file(name: str, path: Path) -> Stream | None:
    """Return the stream of image files by one of them; None if it cannot be read."""
    try:
        with Image.open(path) as image:
            mode, size, form = image.mode, image.size, str(image.format).lower()
    except Exception:  # noqa: BLE001 - whatever Pillow says of a damaged file
        return None
    return Stream(name, FILE, _PIL_MODES.get(mode, "rgb8"), form, size=size)


def _values(message: Any, encoding: str) -> tuple[float, float, float] | None:
    order = ">" if message.is_bigendian else "<"
    kind = np.dtype(f"{order}f{4 if encoding == '32FC1' else 8}")
    raw = np.frombuffer(memoryview(message.data), dtype=np.uint8)
    pixels: npt.NDArray[Any] = raw[: len(raw) // kind.itemsize * kind.itemsize].view(kind)
    known = pixels[np.isfinite(pixels) & (pixels > 0)]
    if not known.size:
        return None
    return float(known.min()), float(np.median(known)), float(known.max())
