"""Damaged copies of real files: refused or read in part, without a traceback, in bounded time.

More of them: E2E_SLAM_MUTATIONS=10000 pytest test/data/test_mutations.py
"""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from data.layout_scenes import SCENES, VIDEOS
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.calibration import read_calibration
from e2e_slam_ros.data.compressed import decode_compressed_depth
from e2e_slam_ros.data.images import read_color, read_depth
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.packet_video import PacketVideo, begins_anew
from e2e_slam_ros.data.trajectory_file import read_tum_trajectory

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
COUNT = int(os.environ.get("E2E_SLAM_MUTATIONS", "300"))
LIMIT_S, LIMIT_MB = 5.0, 1000
WORDS = (b"[", b"{", b"&a *a", b"!!python/object", b"\0", b'"', b"'", b"9" * 20, b"1e9999999999")
NUMBERS = (b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"nan ", b"1e99", b"-1 -")
BAGS = (
    *("depth_to_rgb_loses", "reindexed_storage_identifier", "empty_definition"),
    *("depth_png_topic_without_depth_in_name", "map_odom_1hz", "rational_polynomial"),
)
FOLDERS = ("ost_yaml", "backslashes", "tum_associations_only", "gt_4x4_rows")
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not here")


def mutated(content: bytes, dice: random.Random) -> bytes:
    """Change one to twenty places: bits, bytes, cuts, repeats, words that parsers fear."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        if not data:
            break
        place = dice.randrange(len(data))
        kind = dice.randrange(7)
        if kind == 0:
            data[place] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data[place] = dice.choice((0, 255, 127, 128, 10, 32, 45))
        elif kind == 2:
            del data[place : place + dice.choice((1, 4, 100, 1000))]
        elif kind == 3:
            data[place:place] = data[max(0, place - dice.choice((1, 8, 200))) : place]
        elif kind == 4 and dice.random() < 0.3:
            del data[place:]
        elif kind == 5:
            data[place : place + 4] = dice.choice(NUMBERS)
        else:
            data[place:place] = dice.choice(WORDS)
    return bytes(data)


def survives(what: object, read: Callable[..., object], *arguments: object) -> None:
    start = time.process_time()
    try:
        read(*arguments)
    except E2ESlamError as refusal:
        assert "expected" in str(refusal)
    assert time.process_time() - start < LIMIT_S, what


def read_some(path: Path) -> None:
    reader = open_reader(path)
    for index in range(min(3, len(reader))):
        try:
            reader[index]
        except E2ESlamError:
            continue
    getattr(reader, "close", lambda: None)()


def one_of(names: tuple[str, ...], part: str, dice: random.Random) -> Path:
    folder = CASES / dice.choice(names) / part
    return dice.choice(sorted(path for path in folder.iterdir() if path.is_file()))


@needs_cases
def test_mutated_recordings(tmp_path: Path) -> None:
    dice = random.Random(1)
    for number in range(COUNT // 3):
        source, copy = one_of(BAGS, "bag", dice), tmp_path / "bag"
        shutil.copytree(source.parent, copy)
        (copy / source.name).write_bytes(mutated(source.read_bytes(), dice))
        given = copy if dice.random() < 0.7 else copy / source.name
        survives((source, number), read_some, given)
        shutil.rmtree(copy)


@needs_cases
def test_mutated_folders(tmp_path: Path) -> None:
    dice = random.Random(2)
    for number in range(COUNT // 3):
        source, copy = one_of(FOLDERS, "seq", dice), tmp_path / "seq"
        shutil.copytree(source.parent, copy)
        damaged = copy / source.name
        damaged.write_bytes(mutated(source.read_bytes(), dice))
        survives((source, number), read_some, copy)
        survives((source, number), read_calibration, damaged)
        survives((source, number), read_tum_trajectory, damaged)
        shutil.rmtree(copy)


def test_mutated_layouts(tmp_path: Path) -> None:
    """Copies of each published layout with one damaged file."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    dice = random.Random(4)
    has_av = importlib.util.find_spec("av") is not None
    originals = {}
    for name, write, _ in SCENES:
        if has_av or name not in VIDEOS:
            original = tmp_path / write.__name__
            originals[original] = write(original).relative_to(original)
    for number in range(COUNT):
        original, copy = dice.choice(list(originals)), tmp_path / "copy"
        shutil.copytree(original, copy)
        files = sorted(path for path in copy.rglob("*") if path.is_file())
        # Lists, calibrations and poses as often as images.
        texts = [p for p in files if p.suffix not in (".png", ".jpg")]
        damaged = dice.choice(texts if dice.random() < 0.7 else files)
        damaged.write_bytes(mutated(damaged.read_bytes(), dice))
        survives((damaged, number), read_some, copy / originals[original])
        shutil.rmtree(copy)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < LIMIT_MB * 1024


@pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed")
def test_mutated_video_packets() -> None:
    from data.test_bag_video import packets

    dice = random.Random(5)
    whole = [data for _, data, _ in packets("libx264", 0)]
    for number in range(COUNT // 3):
        data = list(whole)
        for _ in range(dice.choice((1, 3))):
            place = dice.randrange(len(data))
            data[place] = mutated(data[place], dice)
        starts = [place for place, one in enumerate(data) if begins_anew("h264", one)]
        video = PacketVideo("h264", data.__getitem__, starts, len(data), "topic")
        for place in range(len(data)):
            survives(number, video.image, place)


@needs_cases
def test_mutated_images() -> None:
    resource = pytest.importorskip("resource")
    dice = random.Random(3)
    # Other tests of this process have had their peak before.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(COUNT // 3):
        source = one_of(FOLDERS, f"seq/{dice.choice(('rgb', 'depth'))}", dice)
        content = mutated(source.read_bytes(), dice)
        rvl = bytes(12) + content[:400]
        survives(number, read_color, content, "i")
        survives(number, read_depth, content, "d", 1000.0)
        form = "16UC1; compressedDepth rvl"
        survives(number, decode_compressed_depth, form, rvl, "d")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < LIMIT_MB * 1024
