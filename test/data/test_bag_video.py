"""Video topics of recordings: packets of ffmpeg_image_transport, foxglove and CompressedImage."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import get_types_from_msg

from data.conftest import BagBuilder
from data.layout_scenes import colour, dot, found_dot
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.bag_storage import _EXTRA_TYPES
from e2e_slam_ros.data.packet_video import PacketVideo
from e2e_slam_ros.data.rosbag import BagReader
from e2e_slam_ros.data.video_decoder import VideoDecoder
from e2e_slam_ros.geometry.camera import PinholeCamera

av = pytest.importorskip("av", reason="PyAV is not installed")

COUNT = 12
START, STEP = 100 * 10**9, 10**8
CAMERA = PinholeCamera(160, 120, 140.0, 140.0, 79.5, 59.5)
PACKET = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
FOXGLOVE = "foxglove_msgs/msg/CompressedVideo"


def place_of(number: int) -> np.ndarray:
    return np.array([20.0 + 10 * number, 30.0 + 5 * number])


def packets(codec: str, b_frames: int) -> list[tuple[int, bytes, bool]]:
    """Return (number of the picture, bytes, is a key frame) in the order of decoding."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = 160, 120, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30, 1)
    context.gop_size, context.max_b_frames = 5, b_frames
    context.options = {"crf": "2", "sc_threshold": "0"} if codec == "libx264" else {}
    found = []
    for number in [*range(COUNT), None]:
        frame = None
        if number is not None:
            image = colour(dot(place_of(number)))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
        for packet in context.encode(frame):
            found.append((packet.pts, bytes(packet), packet.is_keyframe))
    return found


def record(bag: BagBuilder, kind: str, codec: str, b_frames: int = 0) -> None:
    for name in (PACKET, FOXGLOVE):
        bag.store.register(get_types_from_msg(_EXTRA_TYPES[name], name))
    for order, (number, data, is_key) in enumerate(packets(codec, b_frames)):
        stamp = START + number * STEP
        raw = np.frombuffer(data, np.uint8)
        recorded = START + order * STEP + 5 * STEP
        topic = "/camera/image_raw/ffmpeg"
        if kind == "packet":
            bag.add(
                topic,
                PACKET,
                stamp,
                recorded,
                header=bag.header(stamp),
                width=160,
                height=120,
                encoding=f"{codec};yuv420p",
                pts=number,
                flags=int(is_key),
                is_bigendian=False,
                data=raw,
            )
        elif kind == "foxglove":
            time = bag.header(stamp).stamp
            form = {"libx264": "h264", "libx265": "h265"}[codec]
            bag.add(
                "/camera/video",
                FOXGLOVE,
                stamp,
                recorded,
                timestamp=time,
                frame_id="camera_optical_frame",
                data=raw,
                format=form,
            )
        else:
            bag.add(
                "/camera/image_raw/compressed",
                "sensor_msgs/msg/CompressedImage",
                stamp,
                recorded,
                header=bag.header(stamp),
                format="h264",
                data=raw,
            )
    bag.info(START, CAMERA)


@pytest.mark.parametrize(
    ("kind", "codec", "b_frames"),
    [
        ("packet", "libx264", 0),
        ("packet", "libx264", 2),
        ("packet", "libx265", 0),
        ("packet", "mpeg4", 0),
        ("foxglove", "libx264", 0),
        ("foxglove", "libx265", 0),
        ("compressed", "libx264", 0),
    ],
)
def test_each_message_gives_its_own_picture(
    bag: BagBuilder, tmp_path: Path, kind: str, codec: str, b_frames: int
) -> None:
    try:
        record(bag, kind, codec, b_frames)
    except (av.FFmpegError, ValueError) as problem:
        pytest.skip(f"this PyAV has no encoder {codec}: {problem}")
    reader = BagReader(bag.write(tmp_path / "a"))
    assert len(reader) == COUNT
    assert any(note.startswith("colour = ") and "video" in note for note in reader.report.notes)
    for index in (*range(COUNT), 3, 11, 0, 7, 6):
        frame = reader[index]
        assert frame.stamp_ns == START + index * STEP
        np.testing.assert_allclose(found_dot(frame.image), place_of(index), atol=0.2)


def test_whole_images_come_before_a_video(bag: BagBuilder, tmp_path: Path) -> None:
    record(bag, "packet", "libx264")
    for number in range(COUNT):
        bag.image(START + number * STEP, colour(dot(place_of(number))))
    reader = BagReader(bag.write(tmp_path / "a"))
    assert "colour = /camera/image_raw (rgb8" in "\n".join(reader.report.notes)
    named = BagReader(tmp_path / "a", image_topic="/camera/image_raw/ffmpeg")
    np.testing.assert_allclose(found_dot(named[4].image), place_of(4), atol=0.2)


def test_damaged_and_missing_packets_cost_their_own_frames(
    bag: BagBuilder, tmp_path: Path
) -> None:
    record(bag, "packet", "libx264")
    del bag.items[0]  # the recording began after the first key frame
    topic, kind, recorded, message = bag.items[6]
    message.data = np.frombuffer(b"no packet at all", np.uint8)
    bag.items[6] = topic, kind, recorded, message
    reader = BagReader(bag.write(tmp_path / "a"))
    with pytest.raises(DataError, match="no frame from the decoder, expected packets from a key"):
        reader[0]
    np.testing.assert_allclose(found_dot(reader[9].image), place_of(10), atol=0.2)


def test_a_decoder_that_pyav_does_not_have_is_refused() -> None:
    for codec in ("", "theora9"):
        with pytest.raises(DataError, match="got no decoder for .*, expected a PyAV with"):
            PacketVideo(codec, lambda number: b"", [0], 1, "topic /video")
    decoder = VideoDecoder("theora9")
    assert decoder.frames(b"data", 0) == [] and decoder.waiting == 1


def test_packets_as_they_arrive_begin_with_a_key_frame() -> None:
    decoder, seen = VideoDecoder("h264"), {}
    # Key frames are the first, the sixth and the eleventh picture. The first packet is lost.
    for number, data, _ in packets("libx264", 0)[1:]:
        damaged = b"\0\0\1\x67" + bytes(9) if number == 7 else data
        seen |= dict(decoder.frames(damaged, number))
    assert set(seen) >= {5, 6, 10, 11} and min(seen) == 5 and 7 not in seen
    for number in (5, 6, 10, 11):
        np.testing.assert_allclose(found_dot(seen[number]), place_of(number), atol=0.3)


def test_without_pyav_the_topic_says_how(
    bag: BagBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(bag, "packet", "libx264")
    monkeypatch.setattr("e2e_slam_ros.data.rosbag.can_decode", lambda: False)
    with pytest.raises(DataError, match=r"video is not decoded \(pip install av\)"):
        BagReader(bag.write(tmp_path / "a"))
