"""The table of docs/inputs.md: what is read, and the test that shows it.

`tools/generate_docs.py` writes it. A cell is a test, or a reason in words why there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

DATA, LIVE, NODES = "test/data", "test/nodes/test_live_cases.py", "test/nodes"
IN, CASES = f"{DATA}/test_inputs.py", f"{DATA}/test_cases.py"
ENC, BAG, TUM = f"{DATA}/test_encodings.py", f"{DATA}/test_rosbag.py", f"{DATA}/test_tum.py"
POLICY, FILES = f"{DATA}/test_input_policy.py", f"{DATA}/test_camera_files.py"
LAYOUTS = f"{DATA}/test_layouts.py"
LENS, ASSEMBLING = "test/geometry/test_lens_model.py", f"{NODES}/test_assembling.py"


@dataclass(frozen=True)
class Row:
    """One kind of input: how it is handled, and "file::test" for bags, folders and live."""

    what: str
    how: str
    bags: str
    folders: str
    live: str


NONE = "-"
POINT = f"{LAYOUTS}::test_a_known_point_is_where_it_should_be"
ENCODING = f"{ENC}::test_a_picture_survives_every_encoding"
# The point test runs for each of them.
FORMATS = (
    ("EuRoC (ASL), TUM-VI", "poses of the body become the camera's by `T_BS`, `T_cam_imu`"),
    ("7-Scenes", "depth resampled from 585 to the colour camera's 525 pixels focal length"),
    ("ScanNet, exported or .sens", "depth registered to colour"),
    ("Replica of NICE-SLAM", "`cam_params.json`, `traj.txt`"),
    ("nerfstudio, instant-ngp", "`transforms.json`; axes of OpenGL become optical ones"),
    ("Stray Scanner", "video, depth with its confidence, ARKit's poses"),
    ("OpenLORIS-Scene", "poses of `base_link` become the camera's by `trans_matrix.yaml`"),
    ("KITTI odometry", "poses of camera 0 become those of the camera used"),
    ("a video file", "PyAV; turned as the file says"),
    ("a folder of images with a calibration", "the input policy chooses among its folders"),
)
ROWS = (
    Row(
        "TUM RGB-D",
        "lists, or `associations.txt`",
        NONE,
        f"{TUM}::test_frames_carry_what_the_files_hold",
        NONE,
    ),
    *(Row(what, how, NONE, POINT, NONE) for what, how in FORMATS),
    Row(
        "rosbag2 (sqlite3, mcap), ROS 1 .bag",
        "rosbags, without ROS",
        f"{BAG}::test_ros_1_bags",
        NONE,
        NONE,
    ),
    Row(
        "which stream is the image, which the depth",
        "type, encoding, frame_id, namespace, name; printed with points",
        f"{POLICY}::test_the_topics_of_drivers",
        f"{LAYOUTS}::test_image_folders_follow_the_input_policy",
        f"{NODES}/test_silence_watch.py::"
        "test_topics_that_would_fit_are_named_by_the_policy_of_recordings",
    ),
    Row(
        "depth of 8 bits or JPEG",
        "neither depth nor colour",
        f"{POLICY}::test_depth_of_eight_bits_is_neither",
        f"{TUM}::test_unreadable_depth_costs_the_depth_only",
        f"{NODES}/test_stream_check.py::test_what_it_looks_like_is_said_once",
    ),
    Row(
        "depth in another frame than the image",
        "registered through TF and its camera_info, or left out",
        f"{IN}::test_depth_of_another_frame_is_registered_by_tf",
        NONE,
        f"{LIVE}::test_depth_of_another_frame_is_registered_or_refused",
    ),
    Row("every encoding of sensor_msgs", "OpenCV", ENCODING, NONE, ENCODING),
    Row(
        "16-bit grey",
        "divided by 256",
        f"{ENC}::test_byte_order",
        f"{ENC}::test_sixteen_bits_are_divided_and_not_clipped",
        f"{ENC}::test_byte_order",
    ),
    Row(
        "CompressedImage: JPEG, PNG",
        "OpenCV; live: `camera.transport`",
        f"{BAG}::test_compressed_color_and_depth",
        NONE,
        f"{LIVE}::test_compressed_images_and_depth",
    ),
    Row(
        "compressedDepth: PNG, RVL, quantised floats",
        "metres",
        f"{ENC}::test_rvl_depth_is_read_without_loss",
        NONE,
        f"{LIVE}::test_compressed_images_and_depth",
    ),
    Row(
        "H.264, H.265, AV1, VP8, VP9, MPEG-4 in messages",
        "PyAV, where it is installed; whole images come first; live: in CompressedImage",
        f"{DATA}/test_bag_video.py::test_each_message_gives_its_own_picture",
        NONE,
        f"{LIVE}::test_a_video_in_compressed_images",
    ),
    Row(
        "EXIF orientation",
        "turned",
        NONE,
        f"{ENC}::test_an_image_is_turned_as_exif_says",
        NONE,
    ),
    Row(
        "plumb_bob",
        "removed from the working image",
        f"{BAG}::test_distortion_is_carried_and_rectified_images_have_none",
        f"{FILES}::test_ost_yaml_of_camera_calibration",
        f"{ASSEMBLING}::test_one_camera_info_serves_all_images_at_once",
    ),
    Row(
        "rational_polynomial (8, 12, 14), equidistant / fisheye",
        "images become a pinhole of at most 110 degrees, which is printed",
        f"{IN}::test_depth_and_image_of_a_fisheye_are_remapped_together",
        f"{FILES}::test_kalibr_camchain",
        f"{LIVE}::test_a_rational_model_is_used_raw_and_rectified",
    ),
    Row(
        "binning, region of interest",
        "as image_geometry",
        f"{LENS}::test_binning_and_region_of_interest_are_those_of_image_geometry",
        NONE,
        f"{LENS}::test_binning_and_region_of_interest_are_those_of_image_geometry",
    ),
    Row(
        "rectified images",
        "P, no distortion",
        f"{IN}::test_rectified_topics_and_the_option",
        NONE,
        f"{LIVE}::test_rectified_images_use_p_and_no_distortion",
    ),
    Row(
        "camera_info sent once, before the start",
        "received",
        f"{IN}::test_rectified_topics_and_the_option",
        NONE,
        f"{LIVE}::test_camera_info_that_was_sent_once_before_the_node_began",
    ),
    Row(
        "camera_info of another camera",
        "refused (other frame_id and namespace), or listed",
        f"{IN}::test_calibration_beside_the_image_comes_before_another",
        NONE,
        NONE,
    ),
    Row(
        "ost.yaml, Kalibr, EuRoC, OpenCV, COLMAP",
        "`--intrinsics FILE`, or beside the images",
        f"{FILES}::test_intrinsics_in_words",
        f"{FILES}::test_ost_yaml_of_camera_calibration",
        NONE,
    ),
    Row(
        "body pose (x forward), OpenGL or inverse poses",
        "refused where the images show it; `--pose-frame`",
        f"{IN}::test_odometry_of_a_body_names_both_frames_and_the_ways_out",
        f"{IN}::test_body_poses_are_told_from_optical_ones_by_the_images",
        NONE,
    ),
    Row(
        "goals, markers, poses relative to the camera",
        "not taken",
        f"{IN}::test_poses_that_are_not_the_cameras_are_not_taken",
        NONE,
        NONE,
    ),
    Row(
        "slow transforms (map to odom at 1 Hz)",
        "interpolated; gaps are not bridged",
        f"{IN}::test_slow_transforms_are_interpolated_and_gaps_are_not",
        NONE,
        NONE,
    ),
    Row(
        "a missing transform",
        "both frames are named",
        f"{IN}::test_tf_that_does_not_reach_the_camera_names_both_frames",
        NONE,
        f"{LIVE}::test_tf_names_both_frames",
    ),
    Row(
        "poses as rows of matrices, EuRoC columns",
        "recognised, or refused with the columns",
        NONE,
        f"{IN}::test_rows_of_matrices_are_recognised",
        NONE,
    ),
    Row(
        "poses that contradict the images",
        "a warning that stands first in the table and the report",
        "test/evaluation/run/test_pose_residuals.py::"
        "test_wrong_poses_give_a_warning_that_stands_first",
        "test/evaluation/run/test_pose_residuals.py::"
        "test_wrong_poses_give_a_warning_that_stands_first",
        "test/evaluation/run/test_pose_residuals.py::"
        "test_wrong_poses_give_a_warning_that_stands_first",
    ),
    Row(
        "stamps of zero",
        "bags: the time of recording; live: counted, only the first is used",
        f"{IN}::test_stamps_of_zero_are_those_of_recording_and_said",
        NONE,
        f"{LIVE}::test_stamps_of_zero_are_said_and_counted",
    ),
    Row(
        "negative stamps, stamps far from all others",
        "left out and counted",
        f"{IN}::test_stamps_far_from_all_others_are_left_out",
        f"{IN}::test_stamps_far_from_all_others_are_left_out",
        f"{ASSEMBLING}::test_stamps_that_are_no_times_are_counted_each",
    ),
    Row(
        "clocks that differ",
        "said; `--clock recording`",
        f"{IN}::test_clocks_that_differ_are_said_for_depth_and_poses",
        NONE,
        NONE,
    ),
    Row(
        "UTF-16, backslashes, quotes, decimal commas, nanoseconds",
        "read",
        NONE,
        f"{IN}::test_lists_as_other_programs_write_them",
        NONE,
    ),
    Row(
        "associations.txt alone",
        "read as pairs",
        NONE,
        f"{CASES}::test_a_recorded_case_gives_the_right_values",
        NONE,
    ),
    Row(
        "topics of unknown types or damaged definitions",
        "cost only themselves",
        f"{IN}::test_topics_of_unknown_types_cost_nothing",
        NONE,
        NONE,
    ),
    Row(
        "metadata.yaml that cannot be used",
        "the files are opened by suffix",
        f"{IN}::test_metadata_that_cannot_be_used_is_left_aside",
        NONE,
        NONE,
    ),
    Row(
        ".mcap.zstd, .db3.zstd",
        "unpacked beside the run, with a limit",
        f"{IN}::test_packed_recordings",
        NONE,
        NONE,
    ),
)


def markdown() -> str:
    """Return the table: yes with a link to the test, or a dash."""
    lines = ["| what | how | bags | folders | live |", "|---|---|---|---|---|"]
    for row in ROWS:
        cells = [
            NONE if cell == NONE else f"[yes](../{cell.partition('::')[0]})"
            for cell in (row.bags, row.folders, row.live)
        ]
        lines.append(f"| {row.what} | {row.how} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
