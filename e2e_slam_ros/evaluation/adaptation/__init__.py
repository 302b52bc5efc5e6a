"""The pair and online protocols: keyframe depth before and after refinement."""
