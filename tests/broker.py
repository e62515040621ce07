"""A real Apache Kafka broker of one node, started from Maven artefacts.

``STREAMRNN_TEST_KAFKA=host:port`` uses a running one instead; tests that stop
the broker, or need its SASL and TLS listeners, are left out then.
"""

import base64
import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from real_parts import skip_without

POM = Path(__file__).parent / "kafka" / "pom.xml"
USER, PASSWORD = "sensor", "right-horse-battery"
START_S = 60.0
_names = itertools.count()

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},\
SSL://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://localhost:{tls}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_plaintext.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
auto.create.topics.enable=false
"""


class Broker:
    """A broker at an address; one that the tests have not started can only be used."""

    def __init__(self, address):
        self.address = address

    @property
    def sasl_address(self):
        pytest.skip("this broker of STREAMRNN_TEST_KAFKA has no such listener that the tests know")

    tls_address = ca_file = sasl_address

    def ensure_up(self):
        """Nothing: somebody else runs this one."""

    def kill(self):
        pytest.skip("the broker of STREAMRNN_TEST_KAFKA is not ours to stop")

    stop = freeze = kill

    def new_topic(self, partitions=1, *, compacted=False):
        """Make a topic that no other test uses; its name."""
        from kafka.admin import KafkaAdminClient, NewTopic

        name = f"test-{uuid.uuid4().hex[:8]}-{next(_names)}"
        admin = KafkaAdminClient(bootstrap_servers=self.address)
        try:
            settings = {"cleanup.policy": "compact"} if compacted else {}
            admin.create_topics([NewTopic(name, partitions, 1, topic_configs=settings)])
        finally:
            admin.close()
        return name

    def add_partitions(self, topic, count):
        """Have a topic have so many partitions."""
        from confluent_kafka.admin import AdminClient, NewPartitions

        admin = AdminClient({"bootstrap.servers": self.address})
        admin.create_partitions([NewPartitions(topic, count)])[topic].result(30)


class OwnBroker(Broker):
    """A broker in a process of ours, its data in a folder that outlives the process."""

    def __init__(self, jars, folder):
        # One level of compilation: it lives for minutes, on a machine that has other work.
        machine = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN"]
        self._java = ["java", *machine, "-cp", f"{jars}/*"]
        self._folder = folder
        self._process = None
        ports = dict(zip(("plain", "sasl", "tls", "controller"), free_ports(4), strict=True))
        super().__init__(f"127.0.0.1:{ports['plain']}")
        self._sasl_address = f"127.0.0.1:{ports['sasl']}"
        self._tls_address = f"localhost:{ports['tls']}"
        keystore = certificate(folder / "broker.pem")
        self._properties = folder / "server.properties"
        text = PROPERTIES.format(
            **ports, data=folder / "data", user=USER, password=PASSWORD, keystore=keystore
        )
        self._properties.write_text(text)
        tool = [*self._java, "kafka.tools.StorageTool"]
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        login = f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"
        run([*tool, "format", f"--cluster-id={cluster}", "-c", str(self._properties), "--add-scram", login])

    @property
    def sasl_address(self):
        return self._sasl_address

    @property
    def tls_address(self):
        """Of the name that the certificate has; 127.0.0.1 is another."""
        return self._tls_address

    @property
    def ca_file(self):
        """The certificate, which nobody else has signed."""
        return str(self._folder / "broker.pem")

    def start(self):
        """Start on the same data; returns when it answers."""
        # The kernel ends the broker with the tests, however these end.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with (self._folder / "broker.log").open("ab") as log:
            command = [*guard, *self._java, "kafka.Kafka", str(self._properties)]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self._wait_until_it_answers()

    def stop(self):
        """Clean stop."""
        self._end(signal.SIGTERM)

    def kill(self):
        """A crash: SIGKILL."""
        self._end(signal.SIGKILL)

    def freeze(self):
        """SIGSTOP: connections stay open, nothing answers; returns when all its threads have stopped."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def resume(self):
        """Go on after ``freeze``."""
        self._process.send_signal(signal.SIGCONT)

    def ensure_up(self):
        """Go on or start again after whatever was done to it."""
        if self._process is not None:
            self.resume()
        if self._process is None or self._process.poll() is not None:
            self.start()

    def _end(self, how):
        if self._process is not None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(30)
            self._process = None

    def _wait_until_it_answers(self):
        from kafka.admin import KafkaAdminClient
        from kafka.errors import KafkaError

        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(self.address.split(":"), 1).close()
                admin = KafkaAdminClient(bootstrap_servers=self.address, bootstrap_timeout_ms=2000)
            except (OSError, KafkaError):
                time.sleep(0.1)
            else:
                admin.close()
                return
        log = (self._folder / "broker.log").read_text(errors="replace")
        self.kill()
        raise RuntimeError(f"the broker did not start:\n{log[-4000:]}")


@contextlib.contextmanager
def running_broker(folder):
    """A broker for as long as the context lasts."""
    if address := os.environ.get("STREAMRNN_TEST_KAFKA"):
        yield Broker(address)
        return
    missing = [tool for tool in ("java", "mvn", "openssl") if shutil.which(tool) is None]
    if missing:
        how = "install Java 17 and Maven, or set STREAMRNN_TEST_KAFKA=host:port to use a running broker"
        skip_without("kafka", f"no {' and no '.join(missing)}; {how}")
    broker = OwnBroker(jars(), folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def jars():
    """The folder with the broker's jars; fetched on first use, kept by version."""
    version = re.search(r"<kafka.version>(.+)</kafka.version>", POM.read_text())[1]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamrnn-tests"
    folder = cache / f"kafka-{version}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = tempfile.mkdtemp(dir=cache)  # so that a run cut short leaves no half folder
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
        run(["mvn", "-B", "-q", "-f", str(POM), *goal])
        with contextlib.suppress(OSError):  # another run was faster
            Path(partial).rename(folder)
    return folder


def certificate(path):
    """Make a certificate of localhost, signed by itself, with its key before it."""
    key = path.with_suffix(".key")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    run([*command, "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(path)])
    path.write_text(key.read_text() + path.read_text())
    return path


def free_ports(n):
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(n)]
        return [s.getsockname()[1] for s in sockets]


def run(command):
    """Run a command; what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:2])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
