"""DRO, the deep recurrent optimiser (Gu et al. 2021): depth and motion of several frames."""
