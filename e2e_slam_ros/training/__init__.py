"""Training of the depth network: views of scenes, augmentation, objectives, the loop."""
