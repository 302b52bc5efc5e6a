def check_poses(reader): pass
