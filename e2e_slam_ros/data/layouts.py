"""The layouts of recordings that are read, in the order in which they are recognised."""

from __future__ import annotations

from pathlib import Path

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import LAYOUT_NAMES, option
from e2e_slam_ros.data.bag_file import is_bag
from e2e_slam_ros.data.calibration import lens_of_text
from e2e_slam_ros.data.euroc import EurocReader, is_euroc_folder
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.data.icl import IclReader, is_icl_folder
from e2e_slam_ros.data.image_folder import ImageFolderReader, is_image_folder
from e2e_slam_ros.data.kitti import KittiReader, is_kitti_folder
from e2e_slam_ros.data.layout import Layout, Wanted
from e2e_slam_ros.data.nerfstudio import NerfstudioReader, is_nerfstudio_folder
from e2e_slam_ros.data.openloris import OpenLorisReader, is_openloris_folder
from e2e_slam_ros.data.replica import ReplicaReader, is_replica_folder
from e2e_slam_ros.data.rosbag import BagReader
from e2e_slam_ros.data.scannet import ScannetReader, is_scannet_folder
from e2e_slam_ros.data.sens import SensReader, is_sens_file
from e2e_slam_ros.data.seven_scenes import SevenScenesReader, is_seven_scenes_folder
from e2e_slam_ros.data.stray_scanner import StrayScannerReader, is_stray_scanner_folder
from e2e_slam_ros.data.tum import TumReader, is_tum_folder
from e2e_slam_ros.data.video_file import VideoReader
from e2e_slam_ros.data.video_frames import is_video_file

_ICL_SIZE = (640, 480)


def _tum(path: Path, wanted: Wanted) -> FrameReader:
    required = wanted.require_depth, wanted.require_pose
    return TumReader(path, wanted.camera, wanted.options, *required)


def _icl(path: Path, wanted: Wanted) -> FrameReader:
    camera = wanted.pinhole
    if camera is None and wanted.options.intrinsics:
        camera = lens_of_text(wanted.options.intrinsics, _ICL_SIZE).pinhole
    return IclReader(path, camera, wanted.require_depth, wanted.require_pose)


def _bag(path: Path, wanted: Wanted) -> FrameReader:
    required = wanted.require_depth, wanted.require_pose
    return BagReader(path, wanted.options, wanted.pinhole, *required)


LAYOUTS = (
    Layout(
        "icl",
        "ICL-NUIM: rgb/, depth/, *.gt.freiburg or *.gt.sim",
        lambda path: path.is_dir() and is_icl_folder(path),
        _icl,
    ),
    Layout(
        "tum",
        "TUM RGB-D: rgb.txt, depth.txt, groundtruth.txt, or associations.txt",
        lambda path: path.is_dir() and is_tum_folder(path),
        _tum,
    ),
    Layout(
        "euroc",
        "EuRoC (ASL), TUM-VI: mav0/cam0/data.csv, sensor.yaml",
        is_euroc_folder,
        EurocReader,
    ),
    Layout(
        "7scenes",
        "7-Scenes: frame-000000.color.png with its depth and pose files",
        is_seven_scenes_folder,
        SevenScenesReader,
    ),
    Layout(
        "scannet",
        "ScanNet, exported: color/, depth/, pose/, intrinsic/",
        is_scannet_folder,
        ScannetReader,
    ),
    Layout("sens", "ScanNet: a .sens file", is_sens_file, SensReader),
    Layout(
        "replica",
        "Replica of NICE-SLAM: results/frame*, results/depth*, traj.txt, cam_params.json",
        is_replica_folder,
        ReplicaReader,
    ),
    Layout(
        "nerfstudio",
        "nerfstudio, instant-ngp: transforms.json with images",
        is_nerfstudio_folder,
        NerfstudioReader,
    ),
    Layout(
        "stray",
        "Stray Scanner: rgb.mp4, depth/, odometry.csv, camera_matrix.csv",
        is_stray_scanner_folder,
        StrayScannerReader,
    ),
    Layout(
        "openloris",
        "OpenLORIS-Scene: color.txt, aligned_depth.txt, groundtruth.txt, sensors.yaml",
        is_openloris_folder,
        OpenLorisReader,
    ),
    Layout(
        "kitti",
        "KITTI odometry: image_2/, calib.txt, times.txt, poses.txt",
        is_kitti_folder,
        KittiReader,
    ),
    Layout("bag", "rosbag2 folder, .mcap, .db3 or ROS 1 .bag file", is_bag, _bag),
    Layout("video", "a video file with NAME.yaml or calibration.yaml", is_video_file, VideoReader),
    Layout(
        "images", "a folder of images with calibration.yaml", is_image_folder, ImageFolderReader
    ),
)
assert tuple(layout.name for layout in LAYOUTS) == LAYOUT_NAMES
_PLAIN = LAYOUTS[-1]
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")


def layout_named(name: str) -> Layout:
    """Return the layout of a word of ``--dataset``.

    Raises:
        DataError: there is none of that name.

    >>> layout_named("kitti").what.partition(":")[0]
    'KITTI odometry'
    """
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise DataError.from_parts("layout", repr(name), ", ".join(LAYOUT_NAMES), "correct the name")


def recognised(path: Path) -> tuple[Layout, Path]:
    """Return the layout of a path, and the folder or file to open.

    A folder that holds only one such folder or file (an unpacked archive) stands for it. Images
    without a layout come last.

    Raises:
        DataError: the path does not exist or is of no known layout.
    """
    if not path.exists():
        raise DataError.from_parts(
            "sequence", f"{path}, which does not exist", "a folder or recording", "check the path"
        )
    if (own := _of(path)) is not None:
        return own, path
    inner = sorted(path.iterdir()) if path.is_dir() else []
    known = [(found, p) for p in inner if (found := _of(p)) is not None]
    if len(known) == 1:
        return known[0]
    if not known and _PLAIN.fits(path):
        return _PLAIN, path
    deeper = [p for p in inner if p.is_dir() and _PLAIN.fits(p)] if not known else []
    if len(deeper) == 1:
        return _PLAIN, deeper[0]
    raise _unknown(path, [p.name for _, p in known])


def _of(path: Path) -> Layout | None:
    return next((layout for layout in LAYOUTS[:-1] if layout.fits(path)), None)


def _unknown(path: Path, known: list[str]) -> DataError:
    if known:
        return DataError.from_parts(
            f"sequence {path}",
            f"{len(known)} sequences in it",
            "one",
            f"choose {', '.join(known)}",
        )
    if path.suffix.lower() in _ARCHIVES:
        return DataError.from_parts(
            f"sequence {path}", "an archive", "a recording that is unpacked", "unpack it first"
        )
    lines = "".join(f"\n  {layout.name}: {layout.what}" for layout in LAYOUTS)
    return DataError.from_parts(
        f"sequence {path}",
        "files of no known layout",
        f"one of these layouts:{lines}",
        f"check the path, or name the layout: {option('dataset', 'NAME')}",
    )
