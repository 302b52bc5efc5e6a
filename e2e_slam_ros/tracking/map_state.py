"""The tracker's map as named tensors, to be saved in a file, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.config.errors import E2ESlamError, MapError
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking.corners import DESCRIPTOR_BYTES, Image
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.shutter import LONGEST_S
from e2e_slam_ros.tracking.tracking_keyframe import Observations, TrackingKeyframe

Array = npt.NDArray[np.generic]
StateDict = dict[str, torch.Tensor]

# Images are kept as JPEG. Patches are compared by correlation, which its errors hardly change.
_QUALITIES = (90, 75, 50, 25)
_MOST_BYTES = 100_000
_RIGID = 1e-6

# Type and shape of each array. K: keyframes; S: observations; D: descriptors; L: landmarks; B:
# bytes of all images; a number: of that length.
_LAYOUT: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "camera": ("float64", ("C",)),
    "size": ("int64", (4,)),
    "readout_s": ("float64", (1,)),
    "measured_scale": ("uint8", (1,)),
    "keyframe.stamp_ns": ("int64", ("K",)),
    "keyframe.frame": ("int64", ("K",)),
    "keyframe.T_map_camera": ("float64", ("K", 4, 4)),
    "keyframe.turning": ("float64", ("K", 3)),
    "keyframe.seen": ("int64", ("K",)),
    "keyframe.described": ("int64", ("K",)),
    "keyframe.image_bytes": ("int64", ("K",)),
    "images": ("uint8", ("B",)),
    "seen.landmark": ("int32", ("S",)),
    "seen.pixel": ("float32", ("S", 2)),
    "seen.inverse_depth": ("float32", ("S",)),
    "seen.inverse_depth_sigma": ("float32", ("S",)),
    "described.landmark": ("int32", ("D",)),
    "described.descriptor": ("uint8", ("D", DESCRIPTOR_BYTES)),
    "landmark.position": ("float64", ("L", 3)),
    "landmark.anchor": ("int32", ("L",)),
    "landmark.pixel": ("float32", ("L", 2)),
    "landmark.searched": ("int32", ("L",)),
    "landmark.found": ("int32", ("L",)),
}


@dataclass(frozen=True, eq=False)
class TrackingMap:
    """A tracker's map with the camera that made it.

    Attributes:
        local_map: keyframes and landmarks.
        camera: intrinsics of the frames as they came.
        lens: of the keyframes' images, which may be smaller.
        measured_scale: depth came from a sensor.

    Example:
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> local_map, image = LocalMap(), np.zeros((48, 64), np.uint8)
        >>> pixels = np.array([[20.0, 20.0]])
        >>> ids = local_map.landmarks.add(pixels, anchor=0)
        >>> local_map.landmarks.position[ids] = 0.0, 0.0, 2.0
        >>> seen = Observations.without_depth(ids, pixels, pixels)
        >>> local_map.add(TrackingKeyframe(0, 0, 0, image, np.eye(4), np.zeros(3), seen))
        >>> state = to_state(TrackingMap(local_map, camera, Lens(camera), False))
        >>> state = with_images(state, local_map.keyframes)
        >>> back = from_state(state)
        >>> back.local_map.landmarks.position.tolist(), back.camera == camera
        ([[0.0, 0.0, 2.0]], True)
    """

    local_map: LocalMap
    camera: PinholeCamera
    lens: Lens
    measured_scale: bool


def to_state(tracked: TrackingMap) -> StateDict:
    """Return the map as named tensors; `with_images` adds the images. It takes milliseconds.

    Landmarks that are no longer alive are left out, and the others numbered anew. Without a
    keyframe the result is empty.
    """
    local_map = tracked.local_map
    keyframes, landmarks = local_map.keyframes, local_map.landmarks
    if not keyframes:
        return {}
    # A point on an edge is found again across it only: it is no help to a camera that is lost.
    corner = landmarks.alive & ~landmarks.edge
    kept = np.flatnonzero(corner)
    number = np.full(len(landmarks) + 1, -1, np.int64)
    number[kept] = np.arange(len(kept))
    seen = [k.seen.chosen(corner[k.seen.ids]) for k in keyframes]
    described = [corner[k.described] for k in keyframes]
    camera, lens = tracked.camera, tracked.lens.camera
    intrinsics = (camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion)
    arrays: dict[str, object] = {
        "camera": intrinsics,
        "size": (camera.width, camera.height, lens.width, lens.height),
        "readout_s": (tracked.lens.readout_s,),
        "measured_scale": (tracked.measured_scale,),
        "keyframe.stamp_ns": [k.stamp_ns for k in keyframes],
        "keyframe.frame": [k.frame_index for k in keyframes],
        "keyframe.T_map_camera": np.stack([k.T_map_camera for k in keyframes]),
        "keyframe.turning": np.stack([k.turning for k in keyframes]),
        "keyframe.seen": [len(s.ids) for s in seen],
        "keyframe.described": [int(mask.sum()) for mask in described],
        "seen.landmark": number[_joined([s.ids for s in seen])],
        "seen.pixel": _joined([s.pixels for s in seen]),
        "seen.inverse_depth": _joined([s.inverse_depth for s in seen]),
        "seen.inverse_depth_sigma": _joined([s.inverse_depth_sigma for s in seen]),
        "described.landmark": number[
            _joined([k.described[m] for k, m in zip(keyframes, described, strict=True)])
        ],
        "described.descriptor": _joined(
            [k.descriptors[m] for k, m in zip(keyframes, described, strict=True)]
        ),
        "landmark.position": landmarks.position[kept],
        "landmark.anchor": landmarks.anchor[kept],
        "landmark.pixel": landmarks.anchor_pixel[kept],
        "landmark.searched": landmarks.searched[kept],
        "landmark.found": landmarks.found[kept],
    }
    return {
        # A copy: the tracker goes on while the file is written.
        name: torch.from_numpy(np.array(value, dtype=_LAYOUT[name][0], order="C"))
        for name, value in arrays.items()
    }


def with_images(state: StateDict, keyframes: Sequence[TrackingKeyframe]) -> StateDict:
    """Return the state with the keyframes' images, 100 kB each at most.

    It takes a few milliseconds a keyframe, and reads nothing that an adjustment changes.
    """
    if not state:
        return state
    encoded = [k.jpeg if k.jpeg is not None else _encode(k.image) for k in keyframes]
    sizes = torch.tensor([len(one) for one in encoded], dtype=torch.int64)
    data = np.frombuffer(b"".join(encoded), np.uint8).copy()
    return state | {"keyframe.image_bytes": sizes, "images": torch.from_numpy(data)}


def from_state(state: Mapping[str, torch.Tensor]) -> TrackingMap:
    """Return the map that `to_state` and `with_images` described, checked.

    Raises:
        MapError: a tensor is missing, of another type or shape, or holds values that no map has.
    """
    arrays = _checked(state)
    try:
        camera, lens = _camera(arrays)
        images = _images(arrays, (lens.camera.height, lens.camera.width))
    except (E2ESlamError, cv2.error) as problem:
        raise _refusal(problem, "a camera and its images") from problem
    local_map = LocalMap()
    _fill(local_map, arrays, lens, images)
    return TrackingMap(local_map, camera, lens, bool(arrays["measured_scale"][0]))


def _fill(
    local_map: LocalMap,
    arrays: dict[str, npt.NDArray[np.float64]],
    lens: Lens,
    images: list[tuple[Image, bytes]],
) -> None:
    landmarks = local_map.landmarks
    ids = landmarks.add(arrays["landmark.pixel"].astype(np.float64), 0)
    landmarks.position[ids] = arrays["landmark.position"]
    landmarks.anchor[ids] = arrays["landmark.anchor"]
    landmarks.searched[ids] = arrays["landmark.searched"]
    landmarks.found[ids] = arrays["landmark.found"]
    seen = _split(arrays, "seen", ("landmark", "pixel", "inverse_depth", "inverse_depth_sigma"))
    described = _split(arrays, "described", ("landmark", "descriptor"))
    for k, (image, jpeg) in enumerate(images):
        turning = arrays["keyframe.turning"][k].copy()
        pixels = seen["pixel"][k].astype(np.float64)
        observations = Observations(
            seen["landmark"][k].astype(np.int64),
            pixels,
            lens.ideal(pixels, turning),
            seen["inverse_depth"][k].astype(np.float64),
            seen["inverse_depth_sigma"][k].astype(np.float64),
        )
        local_map.add(
            TrackingKeyframe(
                k,
                int(arrays["keyframe.frame"][k]),
                int(arrays["keyframe.stamp_ns"][k]),
                image,
                arrays["keyframe.T_map_camera"][k].copy(),
                turning,
                observations,
                described["descriptor"][k].astype(np.uint8),
                described["landmark"][k].astype(np.int64),
                adjusted=True,
                jpeg=jpeg,
            )
        )


def _checked(state: Mapping[str, torch.Tensor]) -> dict[str, npt.NDArray[np.float64]]:
    """Return the arrays of a state whose types, shapes, numbers and ranges fit together."""
    if sorted(state) != sorted(_LAYOUT):
        odd = ", ".join(sorted(set(state) ^ set(_LAYOUT)))
        raise _refusal(f"missing or unknown: {odd}", f"{len(_LAYOUT)} known arrays")
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    lengths: dict[str, int] = {}
    for name, (dtype, shape) in _LAYOUT.items():
        found = arrays[name]
        fits = found.dtype == dtype and found.ndim == len(shape)
        for length, wanted in zip(found.shape, shape, strict=False):
            fits &= length == (wanted if isinstance(wanted, int) else lengths.get(wanted, length))
            if isinstance(wanted, str):
                lengths.setdefault(wanted, length)
        if not fits:
            right = tuple(n if isinstance(n, int) else lengths.get(n, n) for n in shape)
            raise _refusal(f"{found.dtype} {found.shape} in {name}", f"{dtype} {right}")
    for name, total, what in (
        ("keyframe.seen", "S", "observations"),
        ("keyframe.described", "D", "descriptors"),
        ("keyframe.image_bytes", "B", "bytes of images"),
    ):
        counts = arrays[name]
        if (counts < 0).any() or int(counts.sum()) != lengths[total]:
            raise _refusal(f"{int(counts.sum())} {what}", str(lengths[total]))
    for name, below in (("seen.landmark", "L"), ("described.landmark", "L")):
        _check_range(arrays[name], name, lengths[below])
    _check_range(arrays["landmark.anchor"], "landmark.anchor", lengths["K"])
    _check_values(arrays)
    return arrays


def _check_range(values: Array, name: str, below: int) -> None:
    if len(values) and not (0 <= int(values.min()) and int(values.max()) < below):
        raise _refusal(
            f"numbers from {values.min()} to {values.max()} in {name}", f"below {below}"
        )


def _check_values(arrays: dict[str, npt.NDArray[np.float64]]) -> None:
    for name in ("keyframe.T_map_camera", "keyframe.turning", "seen.pixel", "landmark.pixel"):
        if not np.isfinite(arrays[name]).all():
            raise _refusal(f"NaN or infinite values in {name}", "finite values")
    poses = arrays["keyframe.T_map_camera"]
    turned = poses[:, :3, :3] @ np.swapaxes(poses[:, :3, :3], 1, 2)
    rigid = (np.abs(turned - np.eye(3)) < _RIGID).all() and (np.linalg.det(poses) > 0).all()
    if not (rigid and (poses[:, 3] == (0.0, 0.0, 0.0, 1.0)).all()):
        raise _refusal("a pose that is not rigid", "rigid poses")
    if not 0.0 <= float(arrays["readout_s"][0]) <= LONGEST_S:
        raise _refusal(f"a readout time of {arrays['readout_s'][0]} s", f"0 to {LONGEST_S} s")


def _camera(arrays: dict[str, npt.NDArray[np.float64]]) -> tuple[PinholeCamera, Lens]:
    width, height, small_width, small_height = (int(v) for v in arrays["size"])
    values = [float(v) for v in arrays["camera"]]
    if len(values) < 4:
        raise _refusal(f"{len(values)} numbers of a camera", "4 or more")
    fx, fy, cx, cy = values[:4]
    camera = PinholeCamera(width, height, fx, fy, cx, cy, tuple(values[4:]))
    lens = Lens(camera.resized(small_width, small_height), float(arrays["readout_s"][0]))
    return camera, lens


def _images(
    arrays: dict[str, npt.NDArray[np.float64]], shape: tuple[int, int]
) -> list[tuple[Image, bytes]]:
    ends = np.cumsum(arrays["keyframe.image_bytes"])
    result = []
    for data in np.split(arrays["images"].astype(np.uint8), ends[:-1]):
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
        if image is None or image.shape != shape:
            found = "none" if image is None else f"{image.shape[1]}x{image.shape[0]}"
            raise _refusal(f"an image: {found}", f"{shape[1]}x{shape[0]} pixels")
        result.append((np.asarray(image, dtype=np.uint8), data.tobytes()))
    return result


def _encode(image: Image) -> bytes:
    data = b""
    for quality in _QUALITIES:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= _MOST_BYTES:
            break
    return data


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts)


def _split(
    arrays: dict[str, npt.NDArray[np.float64]], group: str, names: tuple[str, ...]
) -> dict[str, list[npt.NDArray[np.float64]]]:
    """Return the arrays of a group cut into one part a keyframe."""
    ends = np.cumsum(arrays[f"keyframe.{group}"])[:-1]
    return {name: np.split(arrays[f"{group}.{name}"], ends) for name in names}


def _refusal(got: object, expected: str) -> MapError:
    return MapError.from_parts(
        "the tracker's keyframes in the map file",
        got,
        expected,
        "the file is damaged or was not written by this package: use another copy",
    )
