"""The schemas from the model's types, their words, and the few rules that types cannot say."""

from __future__ import annotations

from typing import Any

from backbone.model import (
    cloudevents,
    cron_expressions,
    definitions,
    envelopes,
    messages,
    requests,
    schedules,
    traceparent,
    triggers,
)
from backbone.model.causation import MAX_LINKS, Causation
from backbone.model.resources import Catalog
from backbone.model.states import ENDED
from gateway import shapes
from schemas import describing, filter_language, vocabulary

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TRACEPARENT: Schema = {"pattern": f"^{traceparent.PATTERN}$"}
NULL: Schema = {"type": "null"}
CRON: Schema = {"pattern": r"^\s*(@[A-Za-z]+|[^\s@]+(\s+[^\s@]+){4,5})\s*$"}
TIME: Schema = {"pattern": r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?$"}


def schemas(catalog: Catalog) -> dict[str, Schema]:
    """Every schema by the name of its file."""
    return {
        "event": _event(catalog),
        "cloudevent": _cloudevent(),
        "trigger": _trigger(catalog),
        "package": _package(),
        "service": _service(catalog),
        "execution": _execution(),
        "work-item": _work_item(),
        "report": _report(),
        "request": _request(),
    }


def _event(catalog: Catalog) -> Schema:
    defs = describing.definitions(envelopes.OwnEvent)
    event = defs.pop("OwnEvent")
    fields = event["properties"]
    fields["resource"] |= vocabulary.resource(catalog)
    fields["action"] |= vocabulary.action(catalog)
    fields["entity"] |= {"type": "object", "properties": {"id": {"type": ["string", "integer"]}}}
    fields["previous"] |= {"type": ["object", "null"]}
    fields["time"] |= TIME
    fields["traceparent"] |= TRACEPARENT
    defs["Causation"]["properties"]["chain"]["maxItems"] = MAX_LINKS
    for name in ("id", "entityId", "actor"):
        fields[name] |= _identity(least=0 if name == "actor" else 1)
    for name in ("project", "projectId"):
        fields[name] |= _name()
    event["allOf"] = [_names_its_entity("entity", "entityId"), *vocabulary.event_rules(catalog)]
    description = 'What happened to one entity: the body of POST /api/v1/events. One, an array, or {"events": [...]}.'
    return _document("event", "Event", description, _one_or_many("OneEvent", "events"), {"OneEvent": event, **defs})


def _cloudevent() -> Schema:
    event = describing.definitions(cloudevents.CloudEvent).pop("CloudEvent")
    fields = event["properties"]
    fields["specversion"] |= {"const": "1.0"}
    fields["type"] |= {"pattern": r"[^.]\.[^.]+$"}
    fields["data"] |= {"type": "object", "properties": {"id": {"type": ["string", "integer"]}}}
    fields["time"] |= TIME
    fields["causation"] |= {"pattern": "^[A-Za-z0-9_-]*=*$"}
    fields["traceparent"] |= TRACEPARENT
    fields["project"] |= _name()
    for name in ("id", "subject", "actor"):
        fields[name] |= _identity(least=0 if name == "actor" else 1)
    event["allOf"] = [_names_its_entity("data", "subject")]
    description = (
        "CloudEvents 1.0, structured: `type` says what happened, `data` is the entity. One, or an array of them."
    )
    return _document("cloudevent", "CloudEvent", description, _one_or_many("OneEvent"), {"OneEvent": event})


def _trigger(catalog: Catalog) -> Schema:
    defs = _trigger_definitions(catalog)
    description = (
        "Who wants to know of which events, and the function to run then. A file holds one trigger, an array of them, "
        'or {"triggers": [...]}.'
    )
    return _document("trigger", "Trigger", description, _one_or_many("OneTrigger", "triggers"), defs)


def _package() -> Schema:
    defs = describing.definitions(definitions.PackageDocument)
    package = defs.pop("PackageDocument")
    package["properties"]["name"] |= _name()
    package["properties"]["modules"] |= {"minItems": 1}
    defs["Module"]["properties"]["entryPoint"] |= {"pattern": r"^(?!/|(.*/)?\.\.(/|$))[^\\]*[^/\\]\.py$"}
    for shape in ("Module", "Function"):
        defs[shape]["properties"] = {name: _lenient(name, field) for name, field in defs[shape]["properties"].items()}
    description = (
        "Code, and what of it may be run: the package.json of a folder, and the body of POST /api/v1/packages."
    )
    return _document("package", "Package", description, package, defs)


def _service(catalog: Catalog) -> Schema:
    defs = describing.definitions(definitions.ServiceDocument, definitions.Runtime) | _trigger_definitions(catalog)
    service, runtime = defs.pop("ServiceDocument"), defs["Runtime"]
    fields = service["properties"]
    fields["name"] |= _name()
    fields["triggers"]["items"] = {"$ref": "#/$defs/OneTrigger"}
    fields["runtime"] |= {"anyOf": [{"$ref": "#/$defs/Runtime"}, NULL]}
    for limited, limits in ((fields, definitions.SERVICE_LIMITS), (runtime["properties"], definitions.RUNTIME_LIMITS)):
        for name, (low, high) in limits.items():
            limited[name] |= {"minimum": low, "maximum": high}
    runtime["properties"]["replicas"] = runtime["properties"]["numReplicas"] | {"deprecated": True}
    description = "How a package is run: the service.json of a folder, and the body of POST /api/v1/services."
    return _document("service", "Service", description, service, defs)


def _execution() -> Schema:
    defs = describing.definitions(shapes.ExecutionShape, Causation)
    execution = defs.pop("ExecutionShape")
    fields = execution["properties"]
    fields["id"] |= {"format": "uuid"}
    fields["causation"] |= {"anyOf": [{"$ref": "#/$defs/Causation"}, NULL]}
    defs["StatusShape"]["properties"]["percentComplete"] |= {"minimum": 0, "maximum": 100}
    description = "One invocation of a function, as GET /api/v1/executions/{id} answers."
    return _document("execution", "Execution", description, execution, defs)


_WIRE = (
    "It travels as a MessagePack array; this describes the array once it is decoded, a field a position. Where it "
    "says base64, MessagePack carries the bytes themselves, and times as its timestamp type. Later releases may add "
    "positions at the end."
)


def _work_item() -> Schema:
    item = describing.definitions(messages.WorkItem).pop("WorkItem")
    description = f"One attempt at one execution, from the dispatcher to an agent. {_WIRE}"
    return _document("work-item", "Work item", description, item, {})


def _report() -> Schema:
    defs = describing.definitions(messages.Started, messages.Progressed, messages.Finished, messages.Logged)
    statuses = sorted({status.value for status in ENDED} | {messages.RERUN})
    describing.position(defs["Finished"], "status")["enum"] = statuses
    reports = {"type": "array", "items": {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in defs]}}
    description = f"What an agent says of executions, several at a time; the first position names the kind. {_WIRE}"
    return _document("report", "Reports", description, reports, defs)


def _request() -> Schema:
    defs = describing.definitions(requests.Take, requests.Beat, requests.Leave)
    one = {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in defs]}
    description = (
        "What an agent asks of a dispatcher where its queue is in RabbitMQ; the first position names the kind. The "
        f"answer is an array of ids of executions. {_WIRE}"
    )
    return _document("request", "Request of an agent", description, one, defs)


def _trigger_definitions(catalog: Catalog) -> Schema:
    documents = (triggers.TriggerDocument, triggers.FlatTriggerDocument, triggers.CronTriggerDocument)
    defs = describing.definitions(*documents) | filter_language.definitions()
    for name in ("TriggerDocument", "FlatTriggerDocument", "CronTriggerDocument", "Spec", "CronSpec", "Operation"):
        defs[name]["additionalProperties"] = False
    for document in documents:
        fields = defs[document.__name__]["properties"]
        by_the_clock = document is triggers.CronTriggerDocument
        fields["type"] |= {"const": triggers.CRON if by_the_clock else triggers.EVENT}
        fields["name"] |= {"minLength": 1, "maxLength": triggers.MAX_NAME_LENGTH}
    for name in ("Spec", "FlatTriggerDocument"):
        fields = defs[name]["properties"]
        fields["resource"] |= vocabulary.resource(catalog)
        fields["actions"] |= vocabulary.one_or_many(vocabulary.action(catalog)["enum"])
        fields["filter"] |= {"anyOf": [{"$ref": "#/$defs/Filter"}, {"type": "string"}, NULL]}
        fields["input"] |= _constants()
        defs[name]["allOf"] = vocabulary.trigger_rules(catalog)
    _describe_schedule(defs)
    defs["Operation"]["properties"]["type"] |= {"const": "function"}
    spellings = {"then": {"$ref": "#/$defs/TriggerDocument"}, "else": {"$ref": "#/$defs/FlatTriggerDocument"}}
    defs["OneTrigger"] = {
        "type": "object",
        "if": {"properties": {"type": {"const": triggers.CRON}}, "required": ["type"]},
        "then": {"$ref": "#/$defs/CronTriggerDocument"},
        "else": {"if": {"required": ["spec"]}, **spellings},
    }
    return defs


def _describe_schedule(defs: Schema) -> None:
    defs["CronTriggerDocument"]["properties"]["global"] |= {"enum": [False, None]}
    fields = defs["CronSpec"]["properties"]
    fields["cron"] |= CRON | {"maxLength": cron_expressions.LONGEST}
    low, high = schedules.JITTER_LIMITS
    fields["jitter"] |= {"minimum": low, "maximum": high}
    fields["input"] |= _constants()
    for name in ("startAt", "endAt"):
        fields[name] |= TIME


def _constants() -> Schema:
    return {"anyOf": [{"type": "object"}, {"type": "array", "maxItems": 0}, NULL]}


def _one_or_many(definition: str, key: str | None = None) -> Schema:
    """By ifs, and not anyOf: an editor then complains of the field that is wrong and not of every shape."""
    one: Schema = {"$ref": f"#/$defs/{definition}"}
    many = {"type": "array", "items": one}
    single = one
    if key is not None:
        fields = {"$schema": {"type": ["string", "null"]}, key: many}
        keyed = {"type": "object", "properties": fields, "additionalProperties": False}
        single = {"if": {"required": [key]}, "then": keyed, "else": one}
    return {"if": {"type": "array"}, "then": many, "else": single}


def _document(name: str, title: str, description: str, body: Schema, defs: Schema) -> Schema:
    head = {"$schema": DIALECT, "$id": f"urn:trigger-engine:{name}", "title": title, "description": description}
    return head | {key: value for key, value in body.items() if key not in head} | ({"$defs": defs} if defs else {})


def _names_its_entity(entity: str, field: str) -> Schema:
    return {
        "anyOf": [
            {"properties": {field: {"type": "string"}}, "required": [field]},
            {"properties": {entity: {"required": ["id"]}}},
        ]
    }


def _identity(least: int) -> Schema:
    return {"minLength": least, "maxLength": envelopes.MAX_ID_LENGTH, "pattern": "^[^\\u0000]*$"}


def _name() -> Schema:
    return {"pattern": f"^{definitions.NAME_PATTERN}$"}


def _lenient(name: str, field: Schema) -> Schema:
    """As clients send it: null for what they leave out, and an input that is alone without its list."""
    taken = [describing.type_of(field)]
    if name in ("input", "output", "initInputs"):
        taken.append(field["items"])
    return describing.words_of(field) | {"anyOf": [*taken, NULL]}
