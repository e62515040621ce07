"""A process that delivers the alerts of a store until it is killed: ``alert_sender.py STORE PORT``."""

from __future__ import annotations

import http.client
import json
import sys
import time

from streamrnn.connectors.notifications import Notification, to_json
from streamrnn.errors import DeliveryError
from streamrnn.pipelines.alert_service import AlertService
from streamrnn.pipelines.outbox import Tries
from streamrnn.pipelines.routing import Route, Routing


class Post:
    """Posts each notification as JSON."""

    def __init__(self, port: int) -> None:
        self._port = port

    def send(self, notification: Notification) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            line.request("POST", "/", json.dumps(to_json(notification)))
            status = line.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryError(f"no answer: {error!r}", retriable=True) from None
        finally:
            line.close()
        if status != 200:
            raise DeliveryError(f"it answered {status}", retriable=True)

    def close(self) -> None:
        pass


def main(path: str, port: str) -> None:
    routing = Routing((Route(("ops",)),), group_by=("series",), wait_ns=0, interval_ns=0, cooldown_ns=0)
    tries = Tries(schedule_s=(0.002,) * 200, pause_s=0.002, longest_pause_s=0.01)
    service = AlertService(path, routing, {"ops": Post(int(port))}, tries=tries)
    service.start()
    while True:
        time.sleep(1)
        service.wake()


if __name__ == "__main__":
    main(*sys.argv[1:])
