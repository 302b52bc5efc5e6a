"""The depth network learns the room in the time that mapping leaves."""
