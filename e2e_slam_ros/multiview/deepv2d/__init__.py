"""DeepV2D (Teed and Deng 2020): depth and motion from several frames, by turns."""
