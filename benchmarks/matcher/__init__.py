"""The matcher beside others: event-ruler's own benchmark, a growing number of triggers, changes, hard cases, memory."""
