"""Relocalisation in a map of 1000 keyframes: how long it takes, and how often it is right.

    python bench/relocalisation.py --keyframes 1000 --json figures.json

The map is made of rendered rooms with exact depth: every second frame of a walk is a keyframe, the
frames between are the questions. Rooms share their kinds of furniture and walls, and each lies
20 m from the next. The figures are CPU time of one thread for the whole of `recognise` and for its
parts, and the share of questions answered within 5 cm and 2 degrees. Places that the map does not
know are asked of an index of the first half of the rooms.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch

from e2e_slam_ros.config.tracking import TrackingConfig
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.simulation.reader import ProceduralReader
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.corners import describe, detect_corners
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.map_scale import MapScale
from e2e_slam_ros.tracking.new_keyframe import give_depth, make_keyframe
from e2e_slam_ros.tracking.place_index import PlaceIndex
from e2e_slam_ros.tracking.relocalisation import recognise
from e2e_slam_ros.tracking.tracks import TrackedView, Tracks

_FRAMES = 100  # of a room, every second one a keyframe
_RATE_HZ = 3.0
_APART_M = 20.0
_QUESTIONS = 200


def main() -> None:
    """Build the map, ask, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keyframes", type=int, default=1000)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    config, local_map, places = TrackingConfig(), LocalMap(), PlaceIndex()
    questions: list[Frame] = []
    every = max(1, options.keyframes // _QUESTIONS)
    for frame in _frames(options.keyframes, options.width, every):
        lens = Lens(frame.camera)
        if frame.index % 2 == 0:
            _add(local_map, places, lens, config, frame)
        else:
            questions.append(frame)
    times, parts, right, wrong = [], [], 0, 0
    for frame in questions:
        view = TrackedView(_grey(frame), lens, None, config.adjustment.pixel_sigma)
        began = time.process_time()
        found = recognise(local_map, places, view, config, lost=True)
        times.append((time.process_time() - began) * 1e3)
        parts.append(_parts(view, places, config))
        if found is not None:
            assert frame.T_map_camera is not None
            off = found.pose.T_camera_map @ frame.T_map_camera
            good = np.linalg.norm(off[:3, 3]) < 0.05 and rigid.angle_deg(off) < 2.0
            right, wrong = right + good, wrong + (not good)
    record = {
        "keyframes": len(local_map.keyframes),
        "landmarks": len(local_map.landmarks),
        "questions": len(questions),
        "right": right / len(questions),
        "wrong": wrong / len(questions),
        "total_ms": _quantiles(times),
        "corners_ms": _quantiles([part[0] for part in parts]),
        "descriptors_ms": _quantiles([part[1] for part in parts]),
        "query_ms": _quantiles([part[2] for part in parts]),
        "query_and_verification_ms": _quantiles(
            [whole - part[0] - part[1] for whole, part in zip(times, parts, strict=True)]
        ),
        **_unknown(local_map, questions, config),
        "machine": machine_line("cpu"),
    }
    print(json.dumps(record, indent=2))
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _unknown(
    local_map: LocalMap, questions: list[Frame], config: TrackingConfig
) -> dict[str, object]:
    """Return what images of rooms cost that the index does not know: it has half of the rooms."""
    half, times, found = PlaceIndex(), [], 0
    known = questions[-1].index // _FRAMES // 2 * _FRAMES  # frames
    for keyframe in local_map.keyframes:
        if keyframe.frame_index < known:
            half.add(keyframe.descriptors)
    for frame in [one for one in questions if one.index >= known + _FRAMES] if known else []:
        view = TrackedView(_grey(frame), Lens(frame.camera), None, config.adjustment.pixel_sigma)
        began = time.process_time()
        found += recognise(local_map, half, view, config, lost=True) is not None
        times.append((time.process_time() - began) * 1e3)
    return {"unknown_found": found, "unknown_ms": _quantiles(times) if times else None}


def _frames(keyframes: int, width: int, every: int) -> Iterator[Frame]:
    """Yield the keyframes of as many rooms as it takes, and one question for ``every`` of them.

    Even frames are keyframes. Each room is shifted along x.
    """
    for room in range(-(-2 * keyframes // _FRAMES)):
        reader = ProceduralReader(room, _FRAMES, width, width * 3 // 4, rate_hz=_RATE_HZ)
        for i in range(_FRAMES):
            index = room * _FRAMES + i
            if index >= 2 * keyframes or (index % 2 and index // 2 % every):
                continue  # neither: rendering is what takes long here
            frame = reader[i]
            assert frame.T_map_camera is not None
            pose = frame.T_map_camera.copy()
            pose[0, 3] += room * _APART_M
            yield replace(frame, index=index, T_map_camera=pose)


def _add(
    local_map: LocalMap, places: PlaceIndex, lens: Lens, config: TrackingConfig, frame: Frame
) -> None:
    assert frame.depth is not None and frame.T_map_camera is not None
    keyframe = make_keyframe(
        local_map,
        lens,
        config,
        frame,
        _grey(frame),
        frame.T_map_camera,
        np.zeros(3),
        Tracks.none(),
    )
    if keyframe is None:
        return
    depth = DepthImage(frame.depth, frame.camera, 0.003, 0.01)
    give_depth(local_map, lens, keyframe, depth, MapScale.by_sensor())
    keyframe.described = keyframe.seen.ids
    keyframe.descriptors = describe(keyframe.image, keyframe.seen.pixels)
    places.add(keyframe.descriptors)


def _parts(
    view: TrackedView, places: PlaceIndex, config: TrackingConfig
) -> tuple[float, float, float]:
    """Return the CPU time of corners, descriptors and query, milliseconds."""
    stamps = [time.process_time()]
    distance = config.corner_distance_px / 2.0
    pixels = detect_corners(view.image, np.zeros((0, 2)), 2 * config.corners, distance)
    stamps.append(time.process_time())
    descriptors = describe(view.image, pixels)
    stamps.append(time.process_time())
    places.query(descriptors, 5)
    stamps.append(time.process_time())
    first, second, third = np.diff(stamps) * 1e3
    return float(first), float(second), float(third)


def _grey(frame: Frame) -> np.ndarray:
    return np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _quantiles(values: list[float]) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 2),
        "p95": round(float(np.percentile(values, 95)), 2),
    }


if __name__ == "__main__":
    main()
