"""Channels: one file each. None imports a library before it is needed."""
