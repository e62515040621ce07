"""From surprise to evidence, p-value and event: compiled code, one file a method."""
