"""What is counted, by stage. Names and units follow the conventions of Prometheus; docs/metrics.md lists them.

With `PROMETHEUS_MULTIPROC_DIR` in the environment the processes of one machine count into that folder and the
gateway shows them all; without it each process shows its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

events_accepted = Counter("trigger_engine_events_accepted", "Events taken into the log over HTTP.")
dead_letters = Counter("trigger_engine_dead_letters", "Documents set aside because they could not be read.", ["where"])
connector_records = Counter(
    "trigger_engine_connector_records", "Records of other systems' topics that were carried on.", ["topic"]
)
events_read = Counter("trigger_engine_events_read", "Events that the engine carried through its stages.")
matches = Counter("trigger_engine_matches", "Pairs of an event and a trigger that wants to know of it.")
matches_stopped = Counter("trigger_engine_matches_stopped", "Matches that the guard stopped as a loop.")
matches_held = Counter("trigger_engine_matches_held", "Matches that wait until it is known whether they are of a loop.")
matches_released = Counter("trigger_engine_matches_released", "Matches that were stopped or held, and went on.")
incidents_raised = Counter("trigger_engine_incidents_raised", "Loops that were found, each counted once.", ["kind"])
circuits_opened = Counter(
    "trigger_engine_circuits_opened", "Triggers, and entities of triggers, that were held as suspects.", ["kind"]
)
circuits_open = Gauge("trigger_engine_circuits_open", "Circuits that hold matches now.", multiprocess_mode="mostrecent")
executions_recorded = Counter("trigger_engine_executions_recorded", "Executions written down for a match.")
executions_created = Counter("trigger_engine_executions_created", "Executions that somebody asked for over HTTP.")
executions_enqueued = Counter(
    "trigger_engine_executions_enqueued", "Executions the dispatcher put in a queue, retries too."
)
executions_republished = Counter(
    "trigger_engine_executions_republished", "Executions that a queue lost and the dispatcher published again."
)
executions_taken = Counter("trigger_engine_executions_taken", "Executions that an agent took.")
executions_finished = Counter("trigger_engine_executions_finished", "Attempts that an agent ended.", ["status"])
executions_settled = Counter("trigger_engine_executions_settled", "Executions that came to a status.", ["status"])
executions_retried = Counter("trigger_engine_executions_retried", "Failed attempts that are tried again.")
executions_rescued = Counter("trigger_engine_executions_rescued", "Executions whose agent was lost.")
agent_questions_over_http = Counter(
    "trigger_engine_agent_questions_over_http",
    "Questions of agents that RabbitMQ did not take, or nobody answered there.",
)
agent_questions_refused = Counter(
    "trigger_engine_agent_questions_refused", "Questions of agents for what is not theirs.", ["question"]
)
messages_redelivered = Counter(
    "trigger_engine_messages_redelivered", "Messages that RabbitMQ gave out before: to somebody who went, or to us."
)
messages_set_aside = Counter(
    "trigger_engine_messages_set_aside", "Messages of RabbitMQ that could not be read.", ["where"]
)

cron_fires = Counter("trigger_engine_cron_fires", "Fires of Cron triggers that began an execution.")
cron_missed = Counter("trigger_engine_cron_missed", "Fires of Cron triggers that did not come.", ["reason"])

event_to_recorded = Histogram(
    "trigger_engine_event_to_recorded_seconds", "From an event in the log to its executions recorded.", buckets=_SECONDS
)
recorded_to_started = Histogram(
    "trigger_engine_recorded_to_started_seconds",
    "From an execution recorded to its function started.",
    buckets=_SECONDS,
)
run_time = Histogram("trigger_engine_run_seconds", "Time in the function.", buckets=_SECONDS)
cron_lateness = Histogram(
    "trigger_engine_cron_lateness_seconds",
    "From the time of a fire by its schedule to its execution.",
    buckets=_SECONDS,
)
queue_age = Histogram("trigger_engine_queue_age_seconds", "Time an execution waited to be taken.", buckets=_SECONDS)

broker_blocked = Gauge(
    "trigger_engine_broker_blocked",
    "1 while RabbitMQ takes nothing from us, short of memory or disk.",
    multiprocess_mode="mostrecent",
)
queue_depth = Gauge(
    "trigger_engine_queue_depth",
    "Executions waiting in a service's queue.",
    ["service"],
    multiprocess_mode="mostrecent",
)
horizon_age = Gauge(
    "trigger_engine_log_horizon_seconds",
    "Age of the oldest open write transaction, which hides newer events from the engine.",
    multiprocess_mode="mostrecent",
)

log_lag = Gauge(
    "trigger_engine_log_lag",
    "Records in the log's partitions of this engine that it was not given yet.",
    multiprocess_mode="livesum",
)
log_partitions = Gauge(
    "trigger_engine_log_partitions",
    "Partitions of the log that this engine reads.",
    multiprocess_mode="livesum",
)


def observe(histogram: Histogram, values: Iterable[float]) -> None:
    """Observe many. Sorted into buckets once for all, and not once a value: the lock and the look-up are most of it."""
    bounds = histogram._upper_bounds
    buckets = histogram._buckets
    total, counts = 0.0, [0] * len(bounds)
    for value in values:
        total += value
        for index, bound in enumerate(bounds):
            if value <= bound:
                counts[index] += 1
                break
    histogram._sum.inc(total)
    for index, count in enumerate(counts):
        if count:
            buckets[index].inc(count)
