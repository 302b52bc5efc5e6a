"""CoopNet (Hariat et al. 2023): depth, motion and flow trained together, gradients rebalanced.

Only the supplement of the paper was at hand. What it does not say is marked "inferred".
"""
