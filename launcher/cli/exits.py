"""How a command ends: the only place that turns errors into sentences and exit codes.

0    well
1    unexpected: a fault of ours, told with its traceback; `match` also ends so when nothing matches
2    the command line or a document is wrong
3    what was named is not there
4    conflict: the world moved, or a name means several things
5    no engine answers, or it cannot at the moment
130  interrupted
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from backbone.model.errors import Conflict, Invalid, NotAllowed, NotFound, TriggerEngineError, Unavailable

UNEXPECTED = 1
NO_MATCH = 1
INVALID = 2
NOT_FOUND = 3
CONFLICT = 4
UNAVAILABLE = 5
INTERRUPTED = 130

_BY_ERROR: tuple[tuple[type[TriggerEngineError], int], ...] = (
    (Invalid, INVALID),
    (NotFound, NOT_FOUND),
    (Conflict, CONFLICT),
    (NotAllowed, INVALID),
    (Unavailable, UNAVAILABLE),
)
_BY_STATUS = {400: INVALID, 401: INVALID, 403: INVALID, 404: NOT_FOUND, 409: CONFLICT, 413: INVALID}


class Refused(TriggerEngineError):
    """The engine answered, and not with what was asked for."""

    def __init__(self, status: int, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path and path not in message else message)
        self.status = status


def code_of(error: TriggerEngineError) -> int:
    if isinstance(error, Refused):
        return _BY_STATUS.get(error.status, UNEXPECTED)
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), UNEXPECTED)


def run(command: click.Command, arguments: Sequence[str]) -> int:
    try:
        # Commands return nothing: a number is the code of a click.exceptions.Exit.
        ended = command.main(arguments, prog_name="trigger-engine", standalone_mode=False)
        return ended if isinstance(ended, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except TriggerEngineError as error:
        complain(str(error))
        return code_of(error)
    except Exception:  # any: a person sees a code and a sentence also where we made a mistake
        traceback.print_exc(file=sys.stderr)
        complain("this is a fault of trigger-engine, not of what you typed")
        return UNEXPECTED


def complain(sentence: str) -> None:
    click.echo(f"{click.style('error:', fg='red')} {sentence}", err=True)
