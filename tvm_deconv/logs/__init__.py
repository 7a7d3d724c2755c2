"""Tuning logs: what they hold, where they are found, and what is done with them as files."""
