#!/usr/bin/env bash
# Builds the package inside the image with the virtual environment's Python.
set -eo pipefail
source /opt/ros/jazzy/setup.bash
source /opt/venv/bin/activate
cd /ws
python3 -m colcon build --packages-select e2e_slam_ros --event-handlers console_direct+
install -d -o ubuntu -g ubuntu /maps
