"""Connectors: records of topics in other shapes become our events.

A connector is a block of settings that names a topic and a shape, and a shape is one short file here: a class whose
fields are its settings, and which makes an event of a record. `configuration` lists the shapes, `intake` carries
batches of records into the event log. Nothing here knows where records come from; docs/connectors.md teaches all this.
"""
