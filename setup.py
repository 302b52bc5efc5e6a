"""ament_python package: entry points in lib/e2e_slam_ros, launch/config/rviz in share/."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = "e2e_slam_ros"
NODES = ("dataset_player", "bag_player", "slam_node", "keyframe_node", "depth_node", "mapper_node")

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={
        PACKAGE: [
            "depth/weights/*",
            "evaluation/report.css",
            "multiview/dro/weights/*",
            "multiview/deepv2d/weights/*",
            "evaluation/run/map_view.*",
            "nodes/fastdds_profile.xml",
            "refine/learned_correction/weights/*",
            "training/recipes/*.yaml",
        ]
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", sorted(glob("launch/*.launch.py"))),
        (f"share/{PACKAGE}/config", sorted([*glob("config/*.yaml"), *glob("config/*.xml")])),
        (f"share/{PACKAGE}/config/sros2", sorted(glob("config/sros2/*.xml"))),
        (f"share/{PACKAGE}/rviz", sorted(glob("rviz/*.rviz"))),
    ],
    # Only setuptools: the scripts of the setuptools in ROS 2 Humble check this list each time
    # they start, and torch, open3d, ... may come from apt, pip or conda under other names.
    # requirements.txt and package.xml hold the dependencies.
    install_requires=["setuptools"],
    extras_require={
        "viewer": ["viser>=1.1"],
        "video": ["av>=12.3"],
        "networks": ["transformers>=4.45", "onnxruntime>=1.17"],
    },
    python_requires=">=3.10",
    zip_safe=False,
    maintainer="e2e_slam_ros maintainers",
    maintainer_email="maintainer@e2e-slam-ros.org",
    description="Dense metric mapping from a moving RGB camera with depth that adapts online",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            *(f"{node} = {PACKAGE}.nodes.{node}:main" for node in NODES),
            f"e2e-slam = {PACKAGE}.cli:main",
        ]
    },
)
