"""Kafka, as far as more than one part needs it: connections, topics, records."""
