"""What training reads: pairs of views, their augmentation, and batches of them."""
