"""`trigger-engine completion`: the script that asks us what may come next."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_TRIGGER_ENGINE_COMPLETE"  # click derives it from the program's name


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete this command.

    Names of triggers are completed too, when an engine runs.

    \b
    Examples:
      eval "$(trigger-engine completion bash)"
      eval "$(trigger-engine completion zsh)"
      trigger-engine completion fish > ~/.config/fish/completions/trigger-engine.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "trigger-engine", VARIABLE).source())
