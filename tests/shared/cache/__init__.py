"""The audio cache."""
