"""SC-SfMLearner's training of the depth network, after pre-training with labels."""
