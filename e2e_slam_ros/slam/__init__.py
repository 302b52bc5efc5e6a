"""The keyframe rule, the pipeline whose method reads like the paper's list, and its worker."""
