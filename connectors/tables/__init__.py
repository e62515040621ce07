"""Tables: how they are written, what their columns mean, and records made of their rows."""
