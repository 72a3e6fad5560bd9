"""Plain JSON of any form: the settings say by which paths the fields of an event are found in it.

`entity_id = "order.id"` names a place in the document. What is the same for every record is said itself
(`action = "Created"`), what differs by its path and a table (`action_path`, and `actions`: their word = ours).
"""

from __future__ import annotations

import msgspec

from backbone.model import event_fields, written_form
from backbone.model.errors import Invalid, InvalidEvent
from backbone.model.event_fields import Submission
from backbone.model.events import Event
from backbone.model.resources import Catalog
from trigger_engine.connectors import paths
from trigger_engine.connectors.record import Record


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    resource: str
    action: str | None = None
    action_path: str | None = None
    actions: dict[str, str] = {}
    ignored: list[str] = []  #: words at `action_path` that tell of no change
    entity: str | None = None  #: the whole document
    entity_id: str | None = None  #: the entity's own `id`
    previous: str | None = None
    id: str | None = None  #: the record's place in the topic
    project_path: str | None = None
    time: str | None = None  #: the record's
    actor: str | None = None

    def check(self, catalog: Catalog) -> None:
        if (self.action is None) == (self.action_path is None):
            raise Invalid("action", "say either 'action', or 'action_path' with 'actions'")
        if self.action_path is not None and not self.actions:
            raise Invalid("actions", "is missing: which words at 'action_path' mean which actions?")
        if self.action is not None and (self.actions or self.ignored):
            raise Invalid(
                "action", f"{self.action!r} is for every record, and leaves nothing to 'actions' and 'ignored'"
            )
        for word, action in {"": self.action, **self.actions}.items():
            if action is not None:
                catalog.spelling(self.resource, action, ("resource", f"actions.{word}" if word else "action"))

    def event(self, record: Record, catalog: Catalog) -> Submission | None:
        if record.value is None:
            return None
        return event_fields.taken(record.value, self._read, record, catalog)

    def _read(self, document: bytes, record: Record, catalog: Catalog) -> Submission | None:
        document = event_fields.object_at("", document.strip())
        action = self._action(document)
        if action is None:
            return None
        resource, action = catalog.check_event(self.resource, action)
        entity = _object(document, self.entity) if self.entity else document
        event = Event(
            id=paths.identity(document, self.id) if self.id else record.position,
            project_id="",
            resource=resource,
            action=action,
            entity_id=paths.identity(document, self.entity_id) if self.entity_id else _own_id(entity, self.entity),
            entity=entity,
            previous=_object(document, self.previous) if self.previous and paths.at(document, self.previous) else None,
            actor=event_fields.actor(paths.text(document, self.actor), self.actor) if self.actor else None,
            time=event_fields.utc(paths.time(document, self.time) if self.time else None, record.time),
        )
        project = (
            event_fields.project(paths.identity(document, self.project_path), self.project_path)
            if self.project_path
            else None
        )
        return Submission(project, event)

    def _action(self, document: bytes) -> str | None:
        """None for a word that is to be ignored."""
        if self.action_path is None:
            return self.action
        word = paths.identity(document, self.action_path)
        if word in self.ignored:
            return None
        if word not in self.actions:
            known = written_form.hint(word, [*self.actions, *self.ignored])
            raise InvalidEvent(self.action_path, f"{written_form.clipped(word)!r} is not among the actions; {known}")
        return self.actions[word]


def _object(document: bytes, path: str) -> bytes:
    return event_fields.object_at(path, paths.at(document, path) or b"null")


def _own_id(entity: bytes, path: str | None) -> str:
    return event_fields.entity_id(None, "", entity, path or "")
