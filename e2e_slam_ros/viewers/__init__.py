"""Optional live views; their libraries are imported only when asked for."""
