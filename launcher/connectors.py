"""The connectors that TRIGGER_ENGINE_CONNECTORS names, tied to the event log, the dead letters and the projects."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from backbone.kit.loops import Health
from backbone.model.errors import Invalid
from backbone.model.resources import Catalog
from backbone.ports import EventLog
from backbone.store import dead_letters
from backbone.store.database import Database
from backbone.store.project_ids import ProjectIds
from launcher import embedded
from launcher.faust_host import Streams
from launcher.servers import kafka_options
from launcher.settings import PREFIX, Settings
from trigger_engine.connectors import configuration
from trigger_engine.connectors.configuration import Connector
from trigger_engine.connectors.intake import Destination, Intake

_SETTING = PREFIX + "CONNECTORS"


def configured(settings: Settings) -> list[Connector]:
    """Raises Invalid with the file, the block, the field and the value that is wrong."""
    if not settings.connectors:
        return []
    path = Path(settings.connectors)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(_SETTING, f"{str(path)!r} cannot be read: {error}") from None
    try:
        connectors = configuration.read(text, Catalog.with_additions(settings.resources))
    except Invalid as error:
        raise Invalid(f"{_SETTING}: {path}", str(error)) from None
    if connectors and not settings.kafka:
        raise Invalid(_SETTING, f"is set, and would not be used: {PREFIX}KAFKA is not")
    if settings.kafka_topic in {connector.topic for connector in connectors}:
        raise Invalid(f"{_SETTING}: {path}", f"{settings.kafka_topic!r} is the topic of the events themselves")
    return connectors


def streams(settings: Settings, database: Database, event_log: EventLog, health: Health) -> Streams | None:
    """None without a connector."""
    connectors = configured(settings)
    if not connectors:
        return None
    destination = Destination(
        append=event_log.append,
        set_aside=partial(dead_letters.record, database.pool),
        project_id=ProjectIds(database, make=True, default=embedded.DEFAULT_PROJECT).found_or_made,
    )
    catalog = Catalog.with_additions(settings.resources)
    intakes = [Intake(connector, catalog, destination, health) for connector in connectors]
    return Streams(options=kafka_options(settings), group=f"{settings.kafka_group}.connectors", intakes=intakes)
