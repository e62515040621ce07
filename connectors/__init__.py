"""Bytes in and out: sources and sinks."""

if __name__ == "connectors":
    raise ImportError("import streamrnn.connectors, not connectors")
