"""Measurements of speed, memory and time to quality, each a command that leaves one JSON file."""
