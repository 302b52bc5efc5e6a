"""Metrics of runs, and the reports that show them."""
