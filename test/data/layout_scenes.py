"""A small recording in each published layout: one bright point, seen by a moving camera.

Each writer puts the point where the layout's own convention says that it is, without the reader's
code. `POINT` is in the world of the poses. Images are black but for the point.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import yaml
from PIL import Image
from scipy.spatial.transform import Rotation

Array = npt.NDArray[Any]

COUNT = 3
POINT = np.array([0.25, -0.15, 3.0])
SIZE = (160, 120)
K = np.array([[140.0, 0.0, 79.0], [0.0, 138.0, 60.5], [0.0, 0.0, 1.0]])
FIRST_NS = 1_403_636_579_763_555_584
STEP_NS = 50_000_000
# The camera on a robot: 10 cm ahead, turned to look forward, and tilted a little.
T_BODY_CAMERA = np.eye(4)
T_BODY_CAMERA[:3, :3] = (
    np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    @ Rotation.from_euler("xyz", [3.0, -5.0, 2.0], degrees=True).as_matrix()
)
T_BODY_CAMERA[:3, 3] = (0.1, 0.02, 0.05)


def pose(index: int) -> Array:
    """T_world_camera of the optical frame."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler(
        "xyz", [2.0 * index, -3.0 * index, index], degrees=True
    ).as_matrix()
    T[:3, 3] = (0.05 * index, -0.03 * index, 0.1 * index)
    return T


def in_camera(T_world_camera: Array) -> Array:
    """The point in a camera's frame."""
    return (np.linalg.inv(T_world_camera) @ np.append(POINT, 1.0))[:3]


def pixel_of(at: Array, k: Array = K) -> Array:
    """Pixel (2,) of a point in the optical frame, the first pixel's centre at (0, 0)."""
    return (k @ (at / at[2]))[:2]


def dot(uv: Array, size: tuple[int, int] = SIZE, sigma: float = 2.0) -> Array:
    """A grey image (H, W) with a round spot at ``uv``."""
    v, u = np.indices((size[1], size[0]))
    square = (u - uv[0]) ** 2 + (v - uv[1]) ** 2
    return np.rint(250.0 * np.exp(-square / (2 * sigma**2))).astype(np.uint8)


def found_dot(image: Array) -> Array:
    """Where the spot is: the centre of brightness (2,)."""
    weight = image.astype(np.float64).mean(axis=2)
    weight[weight < 20.0] = 0.0
    v, u = np.indices(weight.shape)
    return np.array([(u * weight).sum(), (v * weight).sum()]) / weight.sum()


def save(path: Path, array: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 98, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.fromarray(array).save(path, **options)


def colour(grey: Array) -> Array:
    return np.repeat(grey[..., None], 3, axis=2)


def flat(z: float, factor: float, size: tuple[int, int] = SIZE) -> Array:
    """Depth of a plane that faces the camera."""
    return np.full((size[1], size[0]), round(z * factor), np.uint16)


def rows(matrix: Array, count: int = 4) -> str:
    return "\n".join(" ".join(f"{v:.9f}" for v in row) for row in matrix[:count])


def quaternion(T: Array) -> list[float]:
    return [float(v) for v in Rotation.from_matrix(T[:3, :3]).as_quat()]


def euroc(folder: Path) -> Path:
    """EuRoC: grey images with radial distortion, poses of the body, T_BS of the camera."""
    camera, truth = folder / "mav0" / "cam0", folder / "mav0" / "state_groundtruth_estimate0"
    truth.mkdir(parents=True)
    lens = (-0.28, 0.07, 0.0002, 0.00002)
    lines = ["#timestamp [ns],filename"]
    names = "p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z []"
    poses = [f"#timestamp, {names}, v_RS_R_x, v_RS_R_y, v_RS_R_z, b_w, b_w, b_w, b_a, b_a, b_a"]
    for index in range(COUNT):
        stamp = FIRST_NS + index * STEP_NS
        at = in_camera(pose(index))
        uv, _ = cv2.projectPoints(at.reshape(1, 1, 3), np.zeros(3), np.zeros(3), K, np.array(lens))
        save(camera / "data" / f"{stamp}.png", dot(uv.reshape(2)))
        lines.append(f"{stamp},{stamp}.png")
        body = pose(index) @ np.linalg.inv(T_BODY_CAMERA)
        x, y, z, w = quaternion(body)
        values = [*body[:3, 3], w, x, y, z, *([0.0] * 9)]
        poses.append(",".join([str(stamp), *(f"{v:.9f}" for v in values)]))
    (camera / "data.csv").write_text("\r\n".join(lines))
    (truth / "data.csv").write_text("\n".join(poses))
    sensor = {
        "sensor_type": "camera",
        "T_BS": {"cols": 4, "rows": 4, "data": T_BODY_CAMERA.reshape(-1).tolist()},
        "rate_hz": 20,
        "resolution": list(SIZE),
        "camera_model": "pinhole",
        "intrinsics": [K[0, 0].item(), K[1, 1].item(), K[0, 2].item(), K[1, 2].item()],
        "distortion_model": "radial-tangential",
        "distortion_coefficients": list(lens),
    }
    (camera / "sensor.yaml").write_text("#Default\n" + yaml.safe_dump(sensor))
    still = {"T_BS": {"cols": 4, "rows": 4, "data": np.eye(4).reshape(-1).tolist()}}
    (truth / "sensor.yaml").write_text(yaml.safe_dump(still))
    return folder


def tum_vi(folder: Path) -> Path:
    """TUM-VI: 16-bit images of a fisheye, mocap0, camchain.yaml with T_cam_imu."""
    camera, truth = folder / "mav0" / "cam0", folder / "mav0" / "mocap0"
    truth.mkdir(parents=True)
    lens = (0.003, 0.0007, -0.002, 0.0002)
    lines = ["#timestamp [ns],filename"]
    poses = ["#timestamp [ns], p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], "]
    poses[0] += "q_RS_y [], q_RS_z []"
    for index in range(COUNT):
        stamp = FIRST_NS + index * STEP_NS
        at = in_camera(pose(index)).reshape(1, 1, 3)
        zero = np.zeros(3)
        uv, _ = cv2.fisheye.projectPoints(at, zero, zero, K, np.array(lens))
        save(camera / "data" / f"{stamp}.png", dot(uv.reshape(2)).astype(np.uint16) << 8)
        lines.append(f"{stamp},{stamp}.png")
        body = pose(index) @ np.linalg.inv(T_BODY_CAMERA)
        x, y, z, w = quaternion(body)
        values = [*body[:3, 3], w, x, y, z]
        poses.append(",".join([str(stamp), *(f"{v:.9f}" for v in values)]))
    (camera / "data.csv").write_text("\n".join(lines))
    (truth / "data.csv").write_text("\n".join(poses))
    chain = {
        "cam0": {
            "T_cam_imu": np.linalg.inv(T_BODY_CAMERA).tolist(),
            "camera_model": "pinhole",
            "distortion_model": "equidistant",
            "distortion_coeffs": list(lens),
            "intrinsics": [K[0, 0].item(), K[1, 1].item(), K[0, 2].item(), K[1, 2].item()],
            "resolution": list(SIZE),
        }
    }
    (folder / "dso").mkdir()
    (folder / "dso" / "camchain.yaml").write_text(yaml.safe_dump(chain))
    return folder


def seven_scenes(folder: Path) -> Path:
    """7-Scenes: millimetres, 65535 for nothing; depth of another focal length."""
    k = np.array([[525.0, 0, 320], [0, 525, 240], [0, 0, 1]])
    size = (640, 480)
    scene = folder / "seq-01"
    for index in range(COUNT):
        at = in_camera(pose(index))
        name = scene / f"frame-{index:06d}"
        save(name.with_suffix(".color.png"), colour(dot(pixel_of(at, k), size)))
        depth = flat(at[2] + 1.0, 1000.0, size)
        # The point alone is at its own depth, where the depth camera sees it.
        u, v = np.rint(585.0 * at[:2] / at[2] + (320, 240)).astype(int)
        depth[v - 3 : v + 4, u - 3 : u + 4] = round(at[2] * 1000)
        depth[0] = 65535
        save(name.with_suffix(".depth.png"), depth)
        name.with_suffix(".pose.txt").write_text(rows(pose(index)).replace(" ", "\t"))
    return scene


def scannet(folder: Path) -> Path:
    """ScanNet: depth smaller than colour, of another focal length."""
    small = (80, 60)
    for index in range(COUNT):
        at = in_camera(pose(index))
        save(folder / "color" / f"{index}.jpg", colour(dot(pixel_of(at))))
        save(folder / "depth" / f"{index}.png", flat(at[2], 1000.0, small))
        (folder / "pose").mkdir(exist_ok=True)
        (folder / "pose" / f"{index}.txt").write_text(rows(pose(index)))
    inner = folder / "intrinsic"
    inner.mkdir()
    for kind, k in (("color", K), ("depth", K * np.array([[0.5], [0.5], [1.0]]))):
        matrix = np.eye(4)
        matrix[:3, :3] = k
        (inner / f"intrinsic_{kind}.txt").write_text(rows(matrix))
        (inner / f"extrinsic_{kind}.txt").write_text(rows(np.eye(4)))
    return folder


def sens(folder: Path) -> Path:
    """ScanNet's .sens file, version 4."""
    folder.mkdir(parents=True, exist_ok=True)
    small = (80, 60)
    matrices = []
    for k in (K, K * np.array([[0.5], [0.5], [1.0]])):
        matrix = np.eye(4)
        matrix[:3, :3] = k
        matrices += [matrix, np.eye(4)]
    flat_matrices = np.array(matrices).reshape(-1)
    head = struct.pack("<IQ", 4, 5) + b"Apple" + struct.pack("<64f", *flat_matrices)
    head += struct.pack("<iiIIIIfQ", 2, 1, *SIZE, *small, 1000.0, COUNT)
    body = b""
    for index in range(COUNT):
        at = in_camera(pose(index))
        _, jpeg = cv2.imencode(".jpg", dot(pixel_of(at)), [cv2.IMWRITE_JPEG_QUALITY, 98])
        packed = zlib.compress(flat(at[2], 1000.0, small).tobytes())
        body += struct.pack("<16f", *pose(index).reshape(-1))
        body += struct.pack("<QQQQ", (index + 1) * 33_333, 0, len(jpeg), len(packed))
        body += jpeg.tobytes() + packed
    (folder / "scene0000_00.sens").write_bytes(head + body)
    return folder


def replica(folder: Path) -> Path:
    """Replica as NICE-SLAM renders it: cam_params.json one folder above."""
    scene = folder / "office0"
    for index in range(COUNT):
        at = in_camera(pose(index))
        save(scene / "results" / f"frame{index:06d}.jpg", colour(dot(pixel_of(at))))
        save(scene / "results" / f"depth{index:06d}.png", flat(at[2], 6553.5))
    lines = [" ".join(f"{v:.18e}" for v in pose(i).reshape(-1)) for i in range(COUNT)]
    (scene / "traj.txt").write_text("\n".join(lines))
    values = {"w": SIZE[0], "h": SIZE[1], "fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2]}
    camera = {"camera": {**values, "cy": K[1, 2], "scale": 6553.5}}
    (folder / "cam_params.json").write_text(json.dumps(camera))
    return scene


def nerfstudio(folder: Path) -> Path:
    """nerfstudio: OpenGL axes, and the first pixel's centre at (0.5, 0.5)."""
    frames = []
    for index in reversed(range(COUNT)):
        # In the camera of OpenGL y is up and the camera looks along -z.
        gl = pose(index) @ np.diag([1.0, -1.0, -1.0, 1.0])
        x, y, z = (np.linalg.inv(gl) @ np.append(POINT, 1.0))[:3]
        u, v = K[0, 0] * x / -z + K[0, 2], K[1, 1] * -y / -z + K[1, 2]
        name = f"images/frame_{index + 1:05d}.png"
        save(folder / name, colour(dot(np.array([u - 0.5, v - 0.5]))))
        deep = f"depth/{index}.png"
        save(folder / deep, flat(-z, 1000.0))
        frames.append(
            {"file_path": f"./{name}", "depth_file_path": deep, "transform_matrix": gl.tolist()}
        )
    content = {
        "camera_model": "OPENCV",
        "fl_x": K[0, 0],
        "fl_y": K[1, 1],
        "cx": K[0, 2],
        "cy": K[1, 2],
        "w": SIZE[0],
        "h": SIZE[1],
        "k1": 0.0,
        "k2": 0.0,
        "p1": 0.0,
        "p2": 0.0,
        "frames": frames,
    }
    (folder / "transforms.json").write_text(json.dumps(content, indent=2))
    return folder


def openloris(folder: Path) -> Path:
    """OpenLORIS: poses of base_link, intrinsics in the order fx, cx, fy, cy."""
    lists: dict[str, list[str]] = {"color": [], "aligned_depth": [], "depth": []}
    poses = ["#Time px py pz qx qy qz qw"]
    middle = np.eye(4)
    middle[:3, :3] = Rotation.from_euler("z", 20.0, degrees=True).as_matrix()
    for index in range(COUNT):
        stamp = f"{1560000000 + index * 0.033:.6f}"
        at = in_camera(pose(index))
        save(folder / "color" / f"{stamp}.png", colour(dot(pixel_of(at))))
        save(folder / "aligned_depth" / f"{stamp}.png", flat(at[2], 1000.0))
        save(folder / "depth" / f"{stamp}.png", flat(1.0, 1000.0))
        for kind, lines in lists.items():
            lines.append(f"{stamp} {kind}/{stamp}.png")
        base = pose(index) @ np.linalg.inv(T_BODY_CAMERA)
        values = [*base[:3, 3], *quaternion(base)]
        poses.append(" ".join([stamp, *(f"{v:.9f}" for v in values)]))
    for kind, lines in lists.items():
        (folder / f"{kind}.txt").write_text("\n".join(lines))
    (folder / "groundtruth.txt").write_text("\n".join(poses))
    storage = cv2.FileStorage(str(folder / "sensors.yaml"), cv2.FILE_STORAGE_WRITE)
    storage.startWriteStruct("d400_color_optical_frame", cv2.FileNode_MAP)
    storage.write("width", SIZE[0])
    storage.write("height", SIZE[1])
    storage.write("model", "pinhole")
    storage.write("intrinsics", np.array([[K[0, 0], K[0, 2], K[1, 1], K[1, 2]]]))
    storage.write("distortion_model", "radial-tangential")
    storage.write("distortion_coefficients", np.zeros((1, 5)))
    storage.endWriteStruct()
    storage.release()
    storage = cv2.FileStorage(str(folder / "trans_matrix.yaml"), cv2.FILE_STORAGE_WRITE)
    storage.startWriteStruct("trans_matrix", cv2.FileNode_SEQ)
    for parent, child, matrix in (
        ("base_link", "d400_depth_frame", middle),
        ("d400_color_optical_frame", "d400_depth_frame", np.linalg.inv(T_BODY_CAMERA) @ middle),
    ):
        storage.startWriteStruct("", cv2.FileNode_MAP)
        storage.write("parent_frame", parent)
        storage.write("child_frame", child)
        storage.write("matrix", matrix)
        storage.endWriteStruct()
    storage.endWriteStruct()
    storage.release()
    return folder


def kitti(folder: Path) -> Path:
    """KITTI odometry: poses of camera 0, the images of camera 2, poses beside the sequences."""
    sequence = folder / "sequences" / "07"
    offset = np.array([0.06, -0.0003, 0.0027])  # camera 0 in camera 2
    T_2_0 = np.eye(4)
    T_2_0[:3, 3] = offset
    for index in range(COUNT):
        at = (T_2_0 @ np.linalg.inv(pose(index)) @ np.append(POINT, 1.0))[:3]
        save(sequence / "image_2" / f"{index:06d}.png", colour(dot(pixel_of(at))))
        save(sequence / "image_0" / f"{index:06d}.png", dot(pixel_of(in_camera(pose(index)))))
    lines = []
    for name, t in (("P0", np.zeros(3)), ("P1", np.zeros(3)), ("P2", offset), ("P3", offset)):
        matrix = np.column_stack([K, K @ t])
        lines.append(f"{name}: " + " ".join(f"{v:.12e}" for v in matrix.reshape(-1)))
    (sequence / "calib.txt").write_text("\n".join([*lines, "Tr: 1 0 0 0 0 1 0 0 0 0 1 0"]))
    times = [f"{index * 0.1037:.6e}" for index in range(COUNT)]
    (sequence / "times.txt").write_text("\n".join(times))
    (folder / "poses").mkdir()
    given = [" ".join(f"{v:.9e}" for v in pose(i)[:3].reshape(-1)) for i in range(COUNT)]
    (folder / "poses" / "07.txt").write_text("\n".join(given))
    return sequence


def video(path: Path, images: list[Array], codec: str = "libx264", gop: int = 2) -> None:
    """Write a video at 30 Hz, nearly without loss."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, 90_000)
        stream.codec_context.gop_size = gop
        stream.options = {"crf": "2"} if codec == "libx264" else {}
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index * 3000, Fraction(1, 90_000)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def stray(folder: Path) -> Path:
    """Stray Scanner: depth and confidence five times smaller than the video."""
    small = (32, 24)
    images = []
    header = "timestamp, frame, x, y, z, qx, qy, qz, qw, fx, fy, cx, cy"
    lines = [header]
    for index in range(COUNT):
        at = in_camera(pose(index))
        images.append(colour(dot(pixel_of(at))))
        save(folder / "depth" / f"{index:06d}.png", flat(at[2], 1000.0, small))
        confidence = np.full((small[1], small[0]), 2, np.uint8)
        confidence[0] = 0
        save(folder / "confidence" / f"{index:06d}.png", confidence)
        values = [*pose(index)[:3, 3], *quaternion(pose(index)), 140, 138, 79, 60.5]
        words = ", ".join(f"{v:.8f}" for v in values)
        lines.append(f"{12345.5 + index / 60:.6f}, {index:06d}, {words}")
    video(folder / "rgb.mp4", images)
    (folder / "odometry.csv").write_text("\n".join(lines))
    text = "\n".join(", ".join(str(v) for v in row) for row in K)
    (folder / "camera_matrix.csv").write_text(text)
    (folder / "imu.csv").write_text("timestamp, a_x, a_y, a_z, alpha_x, alpha_y, alpha_z\n")
    return folder


CALIBRATION = {"width": SIZE[0], "height": SIZE[1], "fx": 140.0, "fy": 138.0, "cx": 79.0} | {
    "cy": 60.5
}


def video_file(folder: Path) -> Path:
    """A video, its calibration and its poses."""
    images = [colour(dot(pixel_of(in_camera(pose(index))))) for index in range(COUNT)]
    video(folder / "walk.mp4", images)
    (folder / "walk.yaml").write_text(yaml.safe_dump(CALIBRATION))
    lines = []
    for index in range(COUNT):
        values = [*pose(index)[:3, 3], *quaternion(pose(index))]
        lines.append(" ".join([f"{1 + index / 30:.9f}", *(f"{v:.9f}" for v in values)]))
    (folder / "walk.txt").write_text("\n".join(lines))
    return folder / "walk.mp4"


def images(folder: Path) -> Path:
    """Folders of images with a calibration, named by numbers; poses as rows."""
    for index in range(COUNT):
        at = in_camera(pose(index))
        save(folder / "color" / f"img_{index + 8}.png", colour(dot(pixel_of(at))))
        save(folder / "depth" / f"img_{index + 8}.png", flat(at[2], 1000.0))
        save(folder / "confidence" / f"img_{index + 8}.png", np.full((12, 16), 2, np.uint8))
    (folder / "calibration.yaml").write_text(
        yaml.safe_dump({**CALIBRATION, "depth_factor": 1000.0})
    )
    text = "\n".join(" ".join(f"{v:.9f}" for v in pose(i).reshape(-1)) for i in range(COUNT))
    (folder / "poses.txt").write_text(text)
    return folder


# Name of the layout, writer, and whether it has depth.
SCENES: tuple[tuple[str, Callable[[Path], Path], bool], ...] = (
    ("euroc", euroc, False),
    ("euroc", tum_vi, False),
    ("7scenes", seven_scenes, True),
    ("scannet", scannet, True),
    ("sens", sens, True),
    ("replica", replica, True),
    ("nerfstudio", nerfstudio, True),
    ("openloris", openloris, True),
    ("kitti", kitti, False),
    ("stray", stray, True),
    ("video", video_file, False),
    ("images", images, True),
)
VIDEOS = ("stray", "video")
