"""Frames a second of the readers beside OpenCV alone, in the same process.

    python bench/reading_speed.py --data ../shared/data/tum/rgbd_dataset_freiburg1_rpy_excerpt

The first images of the sequence are written again as 640x480 JPEG (quality 95), PNG, a video and
an uncompressed mcap. Each is read by our reader (images alone: no depth, no poses), and by OpenCV
or PyAV alone: read the file, decode, swap red and blue. Rounds take turns. The figures are medians
of CPU time of one thread; "ahead" is wall time with four frames prepared in a second thread while
the first does nothing, beside wall time without.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from e2e_slam_ros.data.conversion import convert
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.prefetch import prepared_ahead
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.geometry.camera import PinholeCamera

SIZE = (640, 480)
CAMERA = PinholeCamera(*SIZE, 525.0, 525.0, 319.5, 239.5)


def write_images(folder: Path, suffix: str, images: list[np.ndarray]) -> Path:
    """Write images of one kind, named by numbers."""
    folder.mkdir()
    for number, image in enumerate(images):
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix == ".jpg" else []
        cv2.imwrite(str(folder / f"{number:06d}{suffix}"), image[..., ::-1], quality)
    return folder


def write_video(path: Path, images: list[np.ndarray]) -> Path:
    """Write images as H.264 at 30 Hz."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def opencv(folder: Path) -> Callable[[], int]:
    """Return a round of OpenCV alone: bytes of a file to RGB."""
    files = sorted(folder.iterdir())

    def once() -> int:
        for file in files:
            decoded = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            assert decoded is not None
            cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        return len(files)

    return once


def pyav(path: Path) -> Callable[[], int]:
    """Return a round of PyAV alone."""

    def once() -> int:
        import av

        count = 0
        with av.open(str(path)) as container:
            for frame in container.decode(container.streams.video[0]):
                frame.to_ndarray(format="rgb24")
                count += 1
        return count

    return once


def ours(reader: FrameReader) -> Callable[[], int]:
    """Return a round of a reader."""

    def once() -> int:
        return sum(1 for _ in reader)

    return once


def ahead(reader: FrameReader) -> Callable[[], int]:
    """Return a round of a reader with four frames prepared in a thread."""

    def once() -> int:
        return sum(1 for _ in prepared_ahead(lambda i: reader[i], 0, len(reader), 4))

    return once


def rounds(
    runs: dict[str, Callable[[], int]], count: int, clock: Callable[[], float]
) -> Iterator[tuple[str, float]]:
    """Yield the median frames a second of each run. Rounds take turns."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(count + 1):
        for name, run in runs.items():
            start = clock()
            frames = run()
            if number:  # the first round warms up
                rates[name].append(frames / (clock() - start))
    for name, values in rates.items():
        yield name, statistics.median(values)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="where the pictures come from")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    source = open_reader(options.data)
    images = [
        cv2.resize(source[i % len(source)].image, SIZE, interpolation=cv2.INTER_AREA)
        for i in range(options.frames)
    ]
    print("| images of 640x480 | reader, frames/s | alone, frames/s | share |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        readers: dict[str, FrameReader] = {}
        for label, suffix in (("JPEG files", ".jpg"), ("PNG files", ".png")):
            made = write_images(root / suffix[1:], suffix, images)
            readers[label] = open_reader(made, camera=CAMERA)
            table(label, readers[label], opencv(made), "OpenCV", options.rounds)
        try:
            video = write_video(root / "walk.mp4", images)
        except ImportError:
            print("| H.264 video | PyAV is not installed | | |")
        else:
            readers["H.264 video"] = open_reader(video, camera=CAMERA)
            table("H.264 video", readers["H.264 video"], pyav(video), "PyAV", options.rounds)
        convert(readers["JPEG files"], root / "walk.mcap", "mcap")
        bag = open_reader(root / "walk.mcap")
        for name, rate in rounds({"rgb8 in mcap": ours(bag)}, options.rounds, time.thread_time):
            print(f"| {name} | {rate:.0f} | | |")
        for label, reader in readers.items():
            runs = {"one thread": ours(reader), "ahead": ahead(reader)}
            found = dict(rounds(runs, options.rounds, time.perf_counter))
            print(
                f"\n{label}, wall time, frames/s: "
                + ", ".join(f"{name} {rate:.0f}" for name, rate in found.items())
            )
    print(f"\n{machine_line('cpu')}")


def table(
    label: str, reader: FrameReader, alone: Callable[[], int], name: str, count: int
) -> None:
    """Print a row of the reader beside a library alone, in CPU time of the process."""
    found = dict(rounds({"ours": ours(reader), "alone": alone}, count, time.process_time))
    share = found["ours"] / found["alone"]
    print(f"| {label} | {found['ours']:.0f} | {found['alone']:.0f} ({name}) | {share:.2f} |")


if __name__ == "__main__":
    main()
