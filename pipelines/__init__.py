"""Wiring: the command line and what it runs."""

if __name__ == "pipelines":
    raise ImportError("import streamrnn.pipelines, not pipelines")
