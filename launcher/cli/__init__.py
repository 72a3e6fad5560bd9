"""The command line `trigger-engine`: one module a noun, imported when it is typed.

    lazy      the group that knows its commands by name and a line of help
    exits     errors to sentences and exit codes
    asking    the options and the loop of commands that ask a running engine
    commands  one module a noun; what they decide is in `declaring`, `deploying` and `watching`

Nothing heavy is imported here: the help is there within the blink of an eye.
"""

from __future__ import annotations

import os
import sys

import click

from launcher.cli import exits
from launcher.cli.lazy import LazyGroup

SUMMARIES = {
    "up": "Start the whole engine on this machine.",
    "run": "Run one role, on servers that are there already.",
    "deploy": "Bring a folder with code to the engine: package, service and triggers.",
    "watch": "Turn the files of a folder into Item events.",
    "publish": "Publish events from a file or standard input.",
    "triggers": "List, show, explain, apply, pause, resume, delete, lint and export triggers; their history.",
    "executions": "List, show, watch, run, rerun and terminate executions, and read their logs.",
    "match": "Try triggers on events, and say which match and why.",
    "explain": "Why an event made triggers fire, or did not.",
    "claims": "List, show and reset what Once remembers.",
    "dead-letters": "List, show, replay and drop what could not be taken.",
    "incidents": "List the loops that were stopped, and let go on what they are not.",
    "events": "Show an event as it was taken.",
    "services": "List the services.",
    "check": "Say which servers of the settings can be reached, and what is wrong.",
    "tokens": "Print the tokens that agents show at the gateway.",
    "compose-secrets": "Fill a folder with the secrets that compose.yaml mounts.",
    "completion": "Print the script that makes a shell complete this command.",
    "version": "Print the version.",
}


@click.group(
    cls=LazyGroup,
    package="launcher.cli.commands",
    summaries=SUMMARIES,
    context_settings={"color": False if os.environ.get("NO_COLOR") else None, "max_content_width": 100},
)
def trigger_engine() -> None:
    """Events in, executions of your functions out.

    \b
    Examples:
      trigger-engine up
      trigger-engine deploy examples/grayscale
      trigger-engine watch ./photos --project demo
      trigger-engine executions watch

    Commands that ask a running engine find it by --url or TRIGGER_ENGINE_URL, else by what `up` wrote into
    its data folder: --data, TRIGGER_ENGINE_DATA or .trigger-engine.

    \b
    Exit codes:
      0 well   1 unexpected   2 usage or an invalid document   3 not found   4 conflict
      5 the engine is unreachable or unavailable   130 interrupted
    """


def main() -> None:
    sys.exit(exits.run(trigger_engine, sys.argv[1:]))
