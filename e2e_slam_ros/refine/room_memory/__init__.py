"""What the depth network was wrong by where the room looked alike."""
