"""Training of DeepV2D (Teed and Deng 2020) on clips of rendered rooms."""
