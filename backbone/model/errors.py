"""The errors of the project, drawn once.

    TriggerEngineError
      Invalid(path, reason)       the document is wrong: never retry it as it is
        InvalidEvent
        InvalidFilter
        InvalidTrigger
        InvalidDefinition         a package, a service, a project
      NotFound(kind, key)
      Conflict                    the world moved: reload and decide again
        AlreadyExists(kind, key)
        NotInState(state)
      NotAllowed                  it is not for who asks
      Unavailable(service)        come again later

The HTTP surface turns them into status codes, the command line into exit codes; nobody else translates.
"""

from __future__ import annotations


class TriggerEngineError(Exception):
    """Everything this project raises on purpose."""


class Invalid(TriggerEngineError):
    """The document is wrong. `path` names the field (`spec.filter.$and[2]`), `reason` what is wrong with its value."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


class InvalidEvent(Invalid):
    pass


class InvalidFilter(Invalid):
    pass


class InvalidTrigger(Invalid):
    pass


class InvalidDefinition(Invalid):
    pass


class NotFound(TriggerEngineError):
    def __init__(self, kind: str, key: str, why: str = "") -> None:
        super().__init__(f"there is no {kind} {key!r}{why and f': {why}'}")
        self.kind = kind
        self.key = key


class Conflict(TriggerEngineError):
    pass


class AlreadyExists(Conflict):
    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"there is a {kind} {key!r} already")
        self.kind = kind
        self.key = key


class NotInState(Conflict):
    def __init__(self, what: str, state: str, wanted: str) -> None:
        super().__init__(f"{what} is {state}; {wanted}")
        self.state = state


class NotAllowed(TriggerEngineError):
    pass


class Unavailable(TriggerEngineError):
    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service} is unavailable: {reason}")
        self.service = service
