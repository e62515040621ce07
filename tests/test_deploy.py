"""What deploys the daemon fits what the daemon is: as far as it shows without an engine, and as processes."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
import urllib.request
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from broker import PROPERTIES, free_ports
from daemons import get
from deployed import COMPOSE, DOCKERFILE, ENDPOINTS, ROOT, instructions, port_of
from prometheus_client.parser import text_string_to_metric_families

from streamrnn.pipelines.group.opening import check_group
from streamrnn.pipelines.options import make_parser
from streamrnn.pipelines.settings import load_settings

SERVICES = COMPOSE["services"]
PIPELINE = ROOT / "deploy" / "pipeline.toml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "streamrnn.json").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DAEMONS = ("daemon-1", "daemon-2")
PLANTS = ("plant-north", "plant-south")


def health_command():
    """The image's health check."""
    return json.loads(instructions("HEALTHCHECK")[0].partition("CMD ")[2])


def settings_of(service):
    return load_settings(PIPELINE, SERVICES[service].get("environment", {}))


def mounts(service):
    """(host, container) of what a service mounts."""
    return [tuple(volume.split(":")[:2]) for volume in SERVICES[service].get("volumes", ())]


# The image


def test_the_image_is_made_of_all_that_the_wheel_needs():
    copied = {path for line in instructions("COPY") if "--from" not in line for path in line.split()[:-1]}
    project, tools = PROJECT["project"], PROJECT["tool"]["setuptools"]
    folders = {"streamrnn", *tools["package-dir"].values()}
    assert copied == {"pyproject.toml", project["readme"], *project["license-files"], *folders}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_in
    extras = re.search(r"'\.\[(.+)\]'", DOCKERFILE)[1].split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    assert json.loads(instructions("ENTRYPOINT")[0])[0] in project["scripts"]


def test_the_image_runs_as_nobody_in_particular_and_writes_to_its_volume():
    (user,), (volume,) = instructions("USER"), instructions("VOLUME")
    assert user.isdecimal() and int(user) > 0
    assert f"--uid {user} " in DOCKERFILE and f"--owner=streamrnn --group=streamrnn {volume}" in DOCKERFILE
    assert f"STREAMRNN_CACHE_DIR={volume}/" in DOCKERFILE
    assert settings_of(DAEMONS[0]).checkpoint.path.startswith(f"{volume}/")
    assert 'os.environ.get("STREAMRNN_CACHE_DIR")' in (ROOT / "streamrnn/kernels/compiling.py").read_text()


def test_the_health_check_asks_where_the_daemon_answers():
    port = port_of(settings_of(DAEMONS[0]))
    assert f":{port}/livez" in health_command()[-1]
    assert instructions("EXPOSE") == [str(port)]


# The stack

# Of the Compose specification, those keys that the file uses; a misspelt one is another.
KEYS = {
    "image": str,
    "build": str,
    "read_only": bool,
    "init": bool,
    "tmpfs": list,
    "cap_drop": list,
    "security_opt": list,
    "restart": str,
    "stop_grace_period": str,
    "entrypoint": list,
    "command": list,
    "environment": dict,
    "depends_on": dict,
    "healthcheck": dict,
    "volumes": list,
    "ports": list,
}


def test_the_file_has_the_keys_and_types_of_the_compose_specification():
    assert {name for name in COMPOSE if not name.startswith("x-")} == {"services", "volumes"}
    for service in SERVICES.values():
        for key, value in service.items():
            assert isinstance(value, KEYS[key]), (key, value)
            if KEYS[key] is list:
                assert all(isinstance(item, str) for item in value), (key, value)
        assert service.get("healthcheck", {}).keys() <= {"test", "interval", "timeout", "retries", "disable"}
        assert all(isinstance(value, str | int) for value in service.get("environment", {}).values())


def test_images_are_pinned_and_the_broker_is_the_one_that_the_tests_run():
    images = {service["image"] for service in SERVICES.values()} | {
        line.split()[0] for line in instructions("FROM")
    }
    assert all(re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+(-[\w-]+)?", image) for image in images), images
    pom = (ROOT / "tests" / "kafka" / "pom.xml").read_text()
    version = re.search(r"<kafka.version>(.+)</kafka.version>", pom)[1]
    assert SERVICES["kafka"]["image"] == SERVICES["topics"]["image"] == f"apache/kafka:{version}"
    assert COMPOSE["x-streamrnn"]["image"] == f"streamrnn:{PROJECT['project']['version']}"


def test_files_that_services_mount_exist_and_volumes_are_declared():
    used = set()
    for service in SERVICES:
        for host, target in mounts(service):
            if host.startswith("./"):
                assert (ROOT / host).is_file(), host
                assert Path(host).suffix == Path(target).suffix
            else:
                used.add(host)
    assert used == set(COMPOSE["volumes"])


def test_services_depend_on_services_and_wait_for_what_can_come_true():
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            assert name in SERVICES
            healthy, done = wait["condition"] == "service_healthy", SERVICES[name].get("restart") is None
            assert "healthcheck" in SERVICES[name] if healthy else done


def test_our_containers_cannot_write_to_their_file_system_and_have_no_rights():
    for name in (*DAEMONS, *PLANTS, "webhook"):
        service = SERVICES[name]
        assert service["read_only"] and service["tmpfs"] == ["/tmp"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_ports_are_published_to_this_machine_only():
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published and all(port.startswith("127.0.0.1:") for port in published)


def test_every_variable_of_the_broker_is_a_property_that_the_tests_broker_reads_too():
    known = {line.partition("=")[0] for line in PROPERTIES.splitlines()} | {"cluster.id"}
    for name in SERVICES["kafka"]["environment"]:
        assert name.removeprefix("KAFKA_").lower().replace("_", ".") in known, name


def test_the_daemons_share_a_group_and_have_a_state_each_and_plants_fill_their_topic():
    one, other = (settings_of(name) for name in DAEMONS)
    assert one == other and one.checkpoint.topic is not None
    states = [dict(map(reversed, mounts(name)))["/var/lib/streamrnn"] for name in DAEMONS]
    assert len(set(states)) == 2
    for plant in PLANTS:
        asked = make_parser().parse_args(SERVICES[plant]["command"])
        assert [asked.topic] == one.source.topics
        assert [asked.brokers] == one.source.brokers
        assert float(asked.rate) > 0 and asked.records is None  # it goes on, by the clock
    assert check_group(one) is one.source


def test_topics_that_are_made_are_those_that_are_used():
    (command,) = SERVICES["topics"]["command"]
    (made,) = re.findall(r"for topic in (.+?);", command)
    one = settings_of(DAEMONS[0])
    (sink,) = one.sink
    assert set(made.split()) == {*one.source.topics, sink.topic, one.dead_letter.topic}
    assert f"--topic {one.checkpoint.topic} --partitions 4 --config cleanup.policy=compact" in command


def test_the_daemons_channel_leads_to_the_webhook():
    (channel,) = settings_of(DAEMONS[0]).alerts.channel
    assert channel.options.url == f"http://webhook:{SERVICES['webhook']['command'][0]}/"


def test_prometheus_asks_every_daemon_and_grafana_asks_prometheus():
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    asked = {
        target: group["labels"]["daemon"] for group in job["static_configs"] for target in group["targets"]
    }
    assert asked == {f"{name}:{port_of(settings_of(name))}": name for name in DAEMONS}
    (source,) = yaml.safe_load((ROOT / "deploy" / "grafana" / "datasources.yml").read_text())["datasources"]
    assert source["url"] == f"http://prometheus:{SERVICES['prometheus']['ports'][0].split(':')[-1]}"
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    (provider,) = yaml.safe_load((ROOT / "deploy" / "grafana" / "dashboards.yml").read_text())["providers"]
    targets = [target for host, target in mounts("grafana") if host.endswith("streamrnn.json")]
    assert [str(Path(target).parent) for target in targets] == [provider["options"]["path"]]
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in targets


def test_panels_of_the_dashboard_lie_beside_each_other():
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
    assert all(x + w <= 24 for x, _, w, _ in places)


# The commands themselves


class Stack:
    """The services of one site as processes, their addresses those of this machine."""

    def __init__(self, folder, broker, stack):
        self._folder, self._stack = folder, stack
        self.webhook, self.daemon = free_ports(2)
        mark = uuid.uuid4().hex[:8]
        self._swap = {
            "kafka:9092": broker.address,
            "webhook:8080": f"127.0.0.1:{self.webhook}",
            '"10.0.0.0/8"': '"127.0.0.1"',
            "0.0.0.0:9464": f"127.0.0.1:{self.daemon}",
            "127.0.0.1:9464": f"127.0.0.1:{self.daemon}",
            "/etc/streamrnn": str(folder),
            "/var/lib/streamrnn": str(folder),
            "=readings": f"=readings-{mark}",
            '"readings"': f'"readings-{mark}"',
            '"snapshots"': f'"snapshots-{mark}"',
            '"scores"': f'"scores-{mark}"',
            '"dead-letters"': f'"dead-letters-{mark}"',
        }
        for path in (PIPELINE, ROOT / "deploy" / "webhook.py"):
            (folder / path.name).write_text(self._here(path.read_text()))
        self.topics = [f"{name}-{mark}" for name in ("readings", "scores", "dead-letters", "snapshots")]

    def _here(self, text):
        for there, here in self._swap.items():
            text = text.replace(there, here)
        return text

    def start(self, service, *more):
        """The very command of a service, beside its variables."""
        says = SERVICES[service]
        command = [*says.get("entrypoint", ["streamrnn"]), *says["command"], *more]
        if service == "webhook":
            command[-1] = str(self.webhook)
        programs = {"streamrnn": [sys.executable, "-m", "streamrnn"], "python": [sys.executable]}
        command = [*programs[command[0]], *map(self._here, command[1:])]
        environment = {name: self._here(text) for name, text in says.get("environment", {}).items()}
        with (self._folder / f"{service}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | environment)
        self._stack.callback(process.wait, 60)
        self._stack.callback(process.terminate)
        return process

    def check_health(self):
        """Whether the image's health check is content."""
        command = [sys.executable, *(self._here(part) for part in health_command()[1:])]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def log(self, service):
        return (self._folder / f"{service}.log").read_text()

    def wait_for(self, process, condition, timeout_s=180.0):
        end = time.monotonic() + timeout_s
        while not condition():
            logs = "\n".join(path.read_text()[-3000:] for path in self._folder.glob("*.log"))
            assert process.poll() is None and time.monotonic() < end, logs
            time.sleep(0.1)


@pytest.fixture
def stack(tmp_path, broker):
    from kafka.admin import KafkaAdminClient, NewTopic

    with ExitStack() as opened:
        made = Stack(tmp_path, broker, opened)
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        admin.create_topics([NewTopic(topic, 4, 1) for topic in made.topics])
        admin.close()
        yield made


def test_the_stacks_own_commands_bring_a_planted_fault_to_the_webhook(stack, tmp_path):
    assert not stack.check_health()
    stack.start("webhook")
    daemon = stack.start("daemon-1")
    stack.wait_for(daemon, stack.check_health)
    faults = tmp_path / "faults.csv"
    plant = stack.start("plant-north", "--rate=max", "--records=2600", f"--labels={faults}")
    assert plant.wait(120) == 0, stack.log("plant-north")
    sharp = [
        row for row in csv.DictReader(faults.read_text().splitlines()) if row["kind"] in {"spike", "dip"}
    ]
    assert len(sharp) == 4
    stack.wait_for(daemon, lambda: all(is_told(fault, stack.log("webhook")) for fault in sharp))
    shown = stack.log("webhook")
    assert " north-" in shown and "firing" in shown
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.webhook}/", timeout=10) as answer:
        assert set(answer.read().decode().splitlines()) >= set(shown.splitlines())
    check_metrics(stack.daemon)


def is_told(fault, shown):
    """Whether the webhook was told of something that began in a fault, of that sensor."""
    told = re.findall(rf"^(\S+)  firing  .* {fault['sensor']}: ", shown, re.MULTILINE)
    return any(fault["first"] <= at <= fault["last"] for at in told)


def check_metrics(port):
    """What the dashboard asks for is what a daemon tells."""
    exposed = {
        s.name for family in text_string_to_metric_families(get(port, "/metrics")) for s in family.samples
    }
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in re.findall(r"streamrnn_\w+", query)}
    assert len(asked) >= 15
    assert asked <= exposed
    variable = DASHBOARD["templating"]["list"][0]["query"]["query"]
    assert re.search(r"streamrnn_\w+", variable)[0] in exposed
    for path in ENDPOINTS:
        assert get(port, path)


def test_the_webhook_refuses_what_is_no_message(tmp_path):
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, ROOT / "deploy" / "webhook.py", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            try:
                assert get(port, "/") == "no alert yet\n"
                break
            except OSError:
                time.sleep(0.05)
        for body in (b"", b"[]", b"{}", b"\xff", b'{"alerts": [1]}'):
            with pytest.raises(urllib.error.HTTPError, match="400|413"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", body, timeout=10)
        alert = {"status": "firing", "startsAt": "now", "labels": {"severity": "info"}}
        alert["annotations"] = {"summary": "a\x1b[31m\nb\u202e"}
        sent = json.dumps({"alerts": [alert]}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", sent, timeout=10).close()
        assert get(port, "/") == "now  firing  info  -  a[31mb\n"
    finally:
        process.terminate()
        process.wait(30)


def test_the_page_of_the_deployment_names_every_service_and_the_ports():
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert all(f"`{name}`" in page for name in SERVICES)
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            assert f"http://localhost:{port.split(':')[1]}" in page
    for command in re.findall(r"^streamrnn (simulate .+)$", page, re.MULTILINE):
        make_parser().parse_args(shlex.split(command))
