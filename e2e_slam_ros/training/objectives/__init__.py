"""The terms that training minimises, and their settings."""
