"""Depth of single images of KITTI, by the protocol of Eigen et al."""
