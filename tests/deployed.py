"""What deploys the daemon, and its parts."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENDPOINTS = ("/livez", "/readyz", "/metrics")


def instructions(name):
    """What a Dockerfile says after an instruction, each time."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [" ".join(rest.split()) for rest in re.findall(rf"^{name} (.+)$", joined, re.MULTILINE)]


def port_of(pipeline):
    return int(pipeline.serve.listen.rpartition(":")[2])
