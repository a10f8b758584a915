"""Checkpoints and voices that others publish: from where, under which licence, and how they are kept."""
