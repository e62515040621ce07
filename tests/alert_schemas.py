"""What receivers take, as strict JSON schemas, written from their own documents.

Alertmanager's webhook: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
Alertmanager's API: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
PagerDuty: https://developer.pagerduty.com/docs/send-alert-event
"""

import jsonschema

TEXT = {"type": "string"}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
NAMED = {
    "type": "object",
    "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
    "additionalProperties": {"type": "string", "minLength": 1},
}
NUMBERS = {"type": "object", "additionalProperties": {"type": "number"}}


def strict(optional=(), **properties):
    """An object of these properties and no others."""
    needed = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


WEBHOOK = strict(
    version={"const": "4"},
    groupKey={"type": "string", "minLength": 1},
    truncatedAlerts={"type": "integer", "minimum": 0},
    status={"enum": ["firing", "resolved"]},
    receiver=TEXT,
    groupLabels=TEXTS,
    commonLabels=TEXTS,
    commonAnnotations=TEXTS,
    externalURL=TEXT,
    alerts={
        "type": "array",
        "minItems": 1,
        "items": strict(
            status={"enum": ["firing", "resolved"]},
            labels=TEXTS,
            annotations=TEXTS,
            startsAt=TIME,
            endsAt=TIME,
            generatorURL=TEXT,
            fingerprint=TEXT,
            values=NUMBERS,  # Grafana's addition
        ),
    },
)

ALERTMANAGER = {
    "type": "array",
    "minItems": 1,
    "items": strict(
        labels={**NAMED, "required": ["alertname"]}, annotations=NAMED, startsAt=TIME, endsAt=TIME
    ),
}

_DETAILS = strict(
    text=TEXT,
    alerts={
        "type": "array",
        "items": strict(status=TEXT, labels=TEXTS, annotations=TEXTS, values=NUMBERS),
    },
    not_shown={"type": "integer", "minimum": 0},
)
_PAGED = {
    "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
    "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
}
PAGERDUTY = {
    "oneOf": [
        strict(event_action={"const": "resolve"}, **_PAGED),
        strict(
            event_action={"const": "trigger"},
            payload=strict(
                summary={"type": "string", "minLength": 1, "maxLength": 1024},
                source={"type": "string", "minLength": 1},
                severity={"enum": ["critical", "error", "warning", "info"]},
                timestamp=TIME,
                group=TEXT,
                custom_details=_DETAILS,
            ),
            **_PAGED,
        ),
    ]
}


def check(body, schema):
    """Fail where a body is not of a schema."""
    jsonschema.validate(body, schema, jsonschema.Draft202012Validator)
