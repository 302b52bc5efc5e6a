"""Pairs of views for training, their augmentation, and batches of them."""
