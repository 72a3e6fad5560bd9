"""The AsyncAPI 3 document: what the dispatcher and the engine send and take over RabbitMQ and Kafka.

Bodies are described by the JSON Schemas beside it.
"""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

_MSGPACK = "application/msgpack"
_JSON = "application/json"
_FORMAT = "application/schema+json;version=draft-2020-12"
_JUDGED = (
    "trigger-engine-event",
    {
        "description": "`1` from those of us that judged the event before they wrote it; others leave it out.",
        "const": "1",
    },
)
_TRACE = (
    "traceparent",
    {"description": "W3C Trace Context: where the event stands in its publisher's trace.", "type": "string"},
)
_STATE = (
    "tracestate",
    {"description": "Beside it: what the systems of that trace say to themselves.", "type": "string"},
)


def document() -> Document:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "trigger-engine",
            "version": "1",
            "description": (
                "The messages of the cluster profile: events come in over Kafka, executions go to agents and reports "
                "come back over RabbitMQ. Everything may arrive twice, and then counts once."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": {
            "rabbitmq": {
                "host": "{host}",
                "protocol": "amqp",
                "protocolVersion": "0-9-1",
                "description": "TRIGGER_ENGINE_RABBITMQ names it, and a virtual host of ours alone.",
                "variables": {"host": {"default": "localhost:5672"}},
            },
            "kafka": {
                "host": "{host}",
                "protocol": "kafka",
                "description": "TRIGGER_ENGINE_KAFKA names it.",
                "variables": {"host": {"default": "localhost:9092"}},
            },
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages()},
    }


def _channels() -> Document:
    return {
        "events": {
            "address": "trigger-engine.events",
            "description": "TRIGGER_ENGINE_KAFKA_TOPIC may give it another name. The key is the entity's id.",
            "servers": [{"$ref": "#/servers/kafka"}],
            "messages": {"event": _ref("event"), "cloudevent": _ref("cloudevent")},
        },
        "service": {
            **_on_rabbitmq("A quorum queue for each service, declared by the dispatcher.", "workItem"),
            "address": "service.{serviceId}",
            "parameters": {"serviceId": {"description": "The service's id."}},
            "bindings": _queue("service.{serviceId}"),
        },
        "reports": {
            **_on_rabbitmq("A quorum queue with one active consumer: reports keep their order.", "reports"),
            "address": "reports",
            "bindings": _queue("reports"),
        },
        "agents": {
            **_on_rabbitmq(
                "Questions of agents; none waits for longer than 5 s. What RabbitMQ does not take, or nobody "
                "answers, agents ask of the gateway: the same bytes, to and fro, at "
                "`POST /api/v1/agents/{id}/requests`.",
                "request",
            ),
            "address": "agents",
            "bindings": _queue("agents"),
        },
        "answers": {
            **_on_rabbitmq("Direct reply-to: where the question's property `reply_to` says.", "answer"),
            "address": None,
        },
        "dead": {
            **_on_rabbitmq(
                "What could not be read, or was given out a hundred times; for people.", "workItem", "reports"
            ),
            "address": "dead",
            "bindings": _queue("dead"),
        },
    }


def _operations() -> Document:
    return {
        "readEvents": _operation("receive", "events", "The engine reads what happened."),
        "offerWork": _operation("send", "service", "The dispatcher puts an attempt in its service's queue."),
        "settleReports": _operation("receive", "reports", "The dispatcher writes down what agents say."),
        "answerAgents": {
            **_operation("receive", "agents", "Every dispatcher answers agents from PostgreSQL."),
            "reply": {
                "address": {"location": "$message.header#/reply_to"},
                "channel": {"$ref": "#/channels/answers"},
            },
        },
    }


def _messages() -> Document:
    return {
        "event": _message("event", "An event in our own shape.", _JSON, headers=_headers(_JUDGED, _TRACE, _STATE)),
        "cloudevent": _message(
            "cloudevent",
            "A CloudEvent, structured or binary.",
            "application/cloudevents+json",
            headers=_headers(_TRACE, _STATE),
        ),
        "workItem": _message(
            "work-item",
            "One attempt at one execution. Its message id is `<execution id>/<attempt>`.",
            _MSGPACK,
            correlated="the id of the event that it all began with, or of the execution that somebody called",
            headers=_headers(_TRACE, _STATE),
        ),
        "reports": _message("report", "What an agent says of executions, several at a time.", _MSGPACK),
        "request": _message(
            "request",
            "A question of an agent, for its own service alone. Its property `user_id` says whose it is.",
            _MSGPACK,
            correlated="the question's number",
        ),
        "answer": {
            "contentType": _MSGPACK,
            "summary": "The executions that are granted to who takes, or are to be ended by who beats; or why not.",
            "correlationId": _correlation("the question's number"),
            "payload": {
                "schemaFormat": _FORMAT,
                "schema": {
                    "oneOf": [
                        {"type": "array", "items": {"type": "string", "format": "uuid"}},
                        {"type": "string", "description": "Why the question is refused."},
                    ]
                },
            },
        },
    }


def _message(
    schema: str, summary: str, content_type: str, *, correlated: str | None = None, headers: Document | None = None
) -> Document:
    message: Document = {
        "contentType": content_type,
        "summary": summary,
        "payload": {"schemaFormat": _FORMAT, "schema": {"$ref": f"{schema}.schema.json"}},
    }
    if headers is not None:
        message["headers"] = headers
    if correlated is not None:
        message["correlationId"] = _correlation(correlated)
    return message


def _headers(*known: tuple[str, Document]) -> Document:
    return {"type": "object", "properties": dict(known)}


def _correlation(what: str) -> Document:
    return {"description": what, "location": "$message.header#/correlation_id"}


def _operation(action: str, channel: str, summary: str) -> Document:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _on_rabbitmq(description: str, *messages: str) -> Document:
    return {
        "description": description,
        "servers": [{"$ref": "#/servers/rabbitmq"}],
        "messages": {name: _ref(name) for name in messages},
    }


def _queue(name: str) -> Document:
    return {"amqp": {"is": "queue", "queue": {"name": name, "durable": True, "exclusive": False, "autoDelete": False}}}


def _ref(message: str) -> Document:
    return {"$ref": f"#/components/messages/{message}"}
