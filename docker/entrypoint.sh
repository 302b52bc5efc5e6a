#!/usr/bin/env bash
# Starts a command with ROS 2, the virtual environment and the package.
set -eo pipefail
source /opt/ros/jazzy/setup.bash
source /opt/venv/bin/activate
source /ws/install/setup.bash
# Where maps go without output:=
export ROS_HOME="${ROS_HOME:-/maps}"
exec "$@"
