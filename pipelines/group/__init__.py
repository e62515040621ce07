"""Daemons that share a consumer group: each partition is a lane of its own that moves between them.

A lane is a whole pipeline: models, journal, incidents, all of one partition. What it
knows is kept in a compacted topic, so that whoever gets the partition goes on with it.
"""
