"""What the types do not say: for each document and each of its fields a sentence, and an example where it helps.

`generate` refuses a field without its sentence, and a sentence whose field is gone.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Words(NamedTuple):
    description: str
    examples: tuple[Any, ...] = ()


def _(description: str, *examples: Any) -> Words:
    return Words(description, examples)


_SCHEMA = _("Where this document's JSON Schema is; editors complete and check by it.", "../schemas/trigger.schema.json")
_PROJECT = _("The project's name. One that is not there yet is made. Default: `default`.", "demo")
_PROJECT_ID = _("The project's id; goes before `project`.")
_TRACEPARENT = _(
    "Where it stands in your trace, as W3C Trace Context writes it; the function gets it as it is.",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
_TRACESTATE = _(
    "What the systems of your trace say to themselves; dropped where it is none by W3C, or has no `traceparent`.",
    "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
)

_LISTENING: Final = {
    "resource": _("What kind of entity is listened to.", "Item"),
    "actions": _("What has to happen to it: one action, or several of which any will do.", ["Created"]),
    "filter": _("DQL: which entities are meant. Left out, null or {}: all of them.", {"dir": "/train"}),
    "executionMode": _("Once: the first time for each entity. Always: every time; not every action allows it."),
    "onceMeans": _("attempted: a failure uses Once up, too. succeeded: an execution that fails frees its claim."),
    "input": _("Constant arguments of the function, beside the entity.", {"size": 256}),
    "loopProtection": _(
        "avoid-loop: events that executions caused match as long as they close no loop. ignore: they do not match. "
        "allow-all: they match, up to the limit of the chain."
    ),
}
_TRIGGER: Final = {
    "name": _("Names the trigger in its project: `triggers apply` finds it again by this.", "gray on upload"),
    "project": _PROJECT,
    "projectId": _PROJECT_ID,
    "global": _("true: it listens in every project, and names none."),
    "type": _("Event: it listens to events. `Cron` triggers go by the clock."),
    "active": _("false: it is kept and matches nothing."),
    "id": _("The stored trigger that is meant. Files that people write leave it out."),
    "$schema": _SCHEMA,
}

WORDS: Final[dict[str, dict[str, Words | None]]] = {
    "TriggerDocument": {**_TRIGGER, "spec": _("Which events are meant, and what to run.")},
    "Spec": {**_LISTENING, "operation": _("The function to run.")},
    "CronTriggerDocument": {
        **_TRIGGER,
        "type": _("Cron: it goes by the clock."),
        "active": _("false: its schedule goes on and runs nothing."),
        "global": _("A Cron trigger runs in one project, that of its service."),
        "spec": _("When, and what to run."),
    },
    "CronSpec": {
        "cron": _("Five fields as in cron(5), six with the second first, or a name.", "0 5 * * *", "@daily"),
        "startAt": _("The first moment that may be a fire. Without an offset it is one of the time zone."),
        "endAt": _("The last moment that may be a fire. Without an offset it is one of the time zone."),
        "timezone": _("An IANA name. Left out or null: UTC.", "Europe/Berlin"),
        "misfire": _(
            "What becomes of fires that nobody was there to make. skip: nothing. one: the latest comes, if it is at"
            " most an hour late. all: the latest hundred of the last day come."
        ),
        "overlap": _(
            "What becomes of a fire while an execution of this trigger goes on. allow: it runs beside it. skip: it is"
            " left out. queue: it waits."
        ),
        "jitter": _("Seconds; each fire comes later by a part of them.", 30),
        "input": _("Constant arguments of the function.", {"size": 256}),
        "operation": _("The function to run."),
    },
    "Operation": {
        "type": _("Only `function` so far."),
        "serviceId": _("The service's id; goes before `service`."),
        "service": _("The service's name in the trigger's project; of a global trigger, in any.", "grayscale"),
        "functionName": _("A function of the service's module. Left out or null: `run`.", "run"),
    },
    "FlatTriggerDocument": {
        **_TRIGGER,
        **_LISTENING,
        "function": _("A function of the service's module. Left out or null: `run`.", "run"),
        "service": _("The service's name or id; in a service.json it is the service itself.", "grayscale"),
    },
    "OwnEvent": {
        "resource": _("What kind of entity changed.", "Item"),
        "action": _("What happened to it.", "Created"),
        "entity": _("The entity as it is now; for Deleted, as it was. Filters look at this."),
        "id": _("Yours: the same id twice in a project is one event. Left out, one is made.", "upload-000017"),
        "project": _PROJECT,
        "projectId": _PROJECT_ID,
        "entityId": _("The entity's id, where the entity itself has none called `id`.", "item-17"),
        "previous": _("The entity before the change."),
        "actor": _("Who made the change. A service's own bot is known by this.", "someone@example.com"),
        "time": _("When it happened. Without an offset it is UTC; left out, it is when it was received."),
        "causation": _("The chain of executions that led to this event; hand on what your function was given."),
        "traceparent": _TRACEPARENT,
        "tracestate": _TRACESTATE,
        "specversion": None,  # it only tells CloudEvents apart
    },
    "Causation": {
        "chain": _("Oldest first."),
        "signature": _("What the engine gave with the chain; without it, or with another chain, it is refused."),
    },
    "Link": {
        "event": _("The id of the event that matched; empty where a call or the clock began the execution."),
        "trigger": _("The id of the trigger it matched; empty for a call."),
        "execution": _("The id of the execution that this began."),
    },
    "CloudEvent": {
        "specversion": _("The version of CloudEvents."),
        "id": _("The same id twice in a project is one event, whatever its source.", "upload-000017"),
        "source": _("Where it comes from. It is not kept.", "/cameras/north"),
        "type": _("Ends in <resource>.<action>.", "com.example.Item.Created"),
        "data": _("The entity. Filters look at this."),
        "subject": _("The entity's id, where `data` has none called `id`.", "item-17"),
        "time": _("When it happened. Left out, it is when it was received."),
        "datacontenttype": _("JSON is all that is read.", "application/json"),
        "project": _PROJECT,
        "actor": _("Who made the change.", "someone@example.com"),
        "causation": _("The chain of executions that led to this event: JSON in base64url."),
        "causationid": _("The same, for writers that hand on CloudEvents' own extension; any other id is let through."),
        "traceparent": _TRACEPARENT,
        "tracestate": _TRACESTATE,
    },
    "PackageDocument": {
        "name": _("Names the package in its project.", "grayscale"),
        "modules": _("What of the code may be run."),
        "project": _PROJECT,
        "projectId": _PROJECT_ID,
        "codebase": _("Where the code is; deploying a folder fills it in.", {"type": "item", "itemId": "65f0c0ffee"}),
        "$schema": _SCHEMA,
    },
    "Module": {
        "name": _("A service names the module it runs by this."),
        "entryPoint": _("A Python file of the package.", "main.py"),
        "className": _("The class that holds the functions. null: they are plain functions of the file."),
        "initInputs": _("What the class takes when it is made; values come from the service's `initParams`."),
        "functions": _("What may be called."),
    },
    "Function": {
        "name": _("The function or method in the code.", "run"),
        "description": _("For people."),
        "input": _("Its parameters. Arguments that are not among them are not passed."),
        "output": _("What it returns."),
    },
    "FunctionInput": {
        "name": _("The parameter.", "item"),
        "type": _("Json, String, Number, Boolean, or the kind of an entity such as Item.", "Item"),
        "description": _("For people."),
        "value": _("The value where none is given."),
    },
    "ServiceDocument": {
        "name": _("Names the service in its project.", "grayscale"),
        "packageName": _("The package it runs, by name.", "grayscale"),
        "packageId": _("The package it runs, by id."),
        "packageRevision": _("Which revision of the package.", "latest", "1.0.2", 2),
        "moduleName": _("Which module of the package. Left out: its only or first one.", "default_module"),
        "project": _PROJECT,
        "projectId": _PROJECT_ID,
        "runtime": _("How much of it runs at a time. Further keys of other platforms are let through."),
        "initParams": _("What the module's class is made with.", {"model": "small"}),
        "executionTimeout": _("Seconds that one execution may take."),
        "drainTime": _("Seconds that running executions are given when the service stops."),
        "maxAttempts": _("How often an execution that fails is tried in all."),
        "onReset": _("What becomes of executions whose agent was lost."),
        "active": _("false: its triggers match nothing and its agents are stopped."),
        "triggers": _("Triggers whose function is of this service, in either spelling."),
        "$schema": _SCHEMA,
    },
    "Runtime": {
        "concurrency": _("Executions at a time in one agent."),
        "numReplicas": _("Agents. `replicas` is the older spelling."),
    },
    "ExecutionShape": {
        "id": _("A UUID; its first 48 bits are the time, in ms, that the event was received."),
        "projectId": _("The project it belongs to."),
        "serviceId": _("Whose function it is."),
        "serviceName": _("Of that service."),
        "moduleName": _("The module that holds the function."),
        "packageId": _("The package that the service runs."),
        "packageRevision": _("Which revision of it.", "1.0.2"),
        "functionName": _("The function that is run.", "run"),
        "triggerId": _("The trigger that matched. null: a person asked for it."),
        "input": _("The arguments."),
        "output": _("What the function returned."),
        "status": _("What happened to it, oldest first; nothing is ever taken out."),
        "statusLog": _("The same as `status`."),
        "latestStatus": _("Where it is now."),
        "attempts": _("The attempt that it is at, counting from 1."),
        "maxAttempts": _("How often it is tried in all."),
        "toTerminate": _("A person asked for it to end."),
        "duration": _("Seconds in the function."),
        "resources": _("The entity of the event."),
        "eventContext": _("The event that led to it."),
        "causation": _("The chain that led to it; it is its last link itself."),
        "createdAt": _("When it was recorded."),
        "updatedAt": _("When its status last changed."),
        "creator": _("`piper` for what a trigger began."),
    },
    "StatusShape": {
        "timestamp": _("When."),
        "status": _("One of the states of an execution, or a word of the function's own."),
        "percentComplete": _("0 to 100."),
        "message": _("A line for people."),
        "error": _("The traceback."),
        "output": _("What the function had by then."),
    },
    "ResourceShape": {"id": _("The entity's id."), "type": _("What kind of entity it is.", "Item")},
    "EventContext": {
        "resource": _("In the platform's spelling for functions.", "items"),
        "action": _("In the platform's spelling for functions.", "created"),
        "source": _("Where the change was made."),
        "resourceId": _("The entity's id."),
        "datasetId": _("Where the entity has one."),
        "projectId": _("The project it belongs to."),
        "eventId": _("The event."),
    },
    "WorkItem": {
        "execution_id": _("A UUID whose first 48 bits are the time, in ms, that the event was received."),
        "attempt": _("Counts from 1."),
        "max_attempts": _("How often it is tried in all."),
        "service_id": _("Whose function it is."),
        "project_id": _("A UUID."),
        "function_name": _("The function to run."),
        "recorded_at": _("When the execution was written down."),
        "input": _("A JSON object: the arguments."),
        "trigger_id": _("null: a person asked for it."),
        "event_id": _("The event that matched."),
        "resource": _("Of that event."),
        "action": _("Of that event."),
        "entity": _("The JSON of the entity as it arrived with the event."),
        "event_time": _("When it happened, by the publisher's clock."),
        "actor": _("Who made the change."),
        "causation": _("The JSON of the chain; this execution is its last link."),
        "by_reference": _("true: input and entity are too large to travel, and are fetched by who takes it."),
        "traceparent": _("Where the event stands in its publisher's trace; also a header of the message."),
        "tracestate": _("What the systems of that trace say to themselves; also a header of the message."),
    },
    "Started": {
        "execution_id": _("Which execution."),
        "attempt": _("Which attempt at it."),
        "at": _("By the agent's clock."),
    },
    "Progressed": {
        "execution_id": _("Which execution."),
        "attempt": _("Which attempt at it."),
        "number": _("Counts the reports of one attempt: one that comes twice is one."),
        "at": _("By the agent's clock."),
        "status": _("Any word of the function's own."),
        "percent": _("0 to 100."),
        "message": _("A line for people."),
        "output": _("JSON."),
    },
    "Finished": {
        "execution_id": _("Which execution."),
        "attempt": _("Which attempt at it."),
        "max_attempts": _("How often it is tried in all."),
        "at": _("By the agent's clock."),
        "started_at": _("By the agent's clock."),
        "status": _("How it ended, or `rerun`: interrupted by us, to be run again."),
        "duration": _("Seconds in the function."),
        "output": _("JSON, when it succeeded."),
        "message": _("One line, when it did not."),
        "traceback": _("Of the function's exception."),
        "may_retry": _("false where trying again cannot help."),
    },
    "Logged": {
        "execution_id": _("Which execution."),
        "attempt": _("Which attempt at it."),
        "number": _("Counts the reports of one attempt: one that comes twice is one."),
        "at": _("By the agent's clock."),
        "lines": _("A JSON array of {timestamp, level, message}."),
    },
    "Take": {
        "asking": _("Names this asking: the same when it is asked again, and then the same is granted."),
        "session": _("Who asks: an agent, from its start to its end."),
        "service_id": _("Of which all are."),
        "attempts": _("Pairs of an execution's id and the attempt at it, which counts from 1."),
    },
    "Beat": {
        "session": _("Who lives."),
        "service_id": _("Whose functions it runs."),
        "lease": _("How long it may be silent from now on, as ISO 8601 writes durations."),
        "untold": _("Executions that it began, or ended, and could not report yet: they stay its own."),
    },
    "Leave": {"session": _("Who ended in order.")},
}
