"""Losses of online adaptation and training. Each loss is one small pure function."""
