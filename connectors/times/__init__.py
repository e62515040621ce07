"""Times as text: how they are written, found out from a sample, and read as nanoseconds UTC."""
