"""Commands of other packages, which offer them as entry points of the group `autodual.commands`.

Such a package says in its own pyproject.toml, for a click command `survey` in its module `surveys`:

    [project.entry-points."autodual.commands"]
    survey = "surveys:survey"

Its module is imported when the command is called, and not before: help stays instant, and a package that cannot be
imported harms no other command.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import click

from autodual.extensions.entry_points import offered

GROUP = "autodual.commands"


class PluginError(click.ClickException):
    """A command of another package that cannot be used; exit status 2."""

    exit_code = 2


class PluginCommand(click.Command):
    """Stands for a command of another package, and loads it when it is called."""

    def __init__(self, offers: list[EntryPoint]) -> None:
        self.offers = offers
        self.packages = " and ".join(sorted({_package(offer) for offer in offers}))
        super().__init__(offers[0].name, short_help=f"Command of the package {self.packages}.", add_help_option=False)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of the package's own command, which click goes on with."""
        return self.load().make_context(info_name, args, parent=parent, **extra)

    def load(self) -> click.Command:
        """The package's command.

        Raises:
            PluginError: several packages offer a command of this name, its module cannot be imported, or what it names
                is no click command.
        """
        if len({offer.value for offer in self.offers}) > 1:
            raise PluginError(
                f"The packages {self.packages} both offer a command '{self.name}'; uninstall one of them."
            )
        blame = f"The command '{self.name}' of the package {self.packages} cannot be loaded"
        try:
            command = self.offers[0].load()
        except (Exception, SystemExit) as error:  # whatever importing a stranger's module may raise
            words = " ".join(f"{type(error).__name__}: {error}".split())
            raise PluginError(f"{blame} ({words}); update or uninstall the package.") from error
        if not isinstance(command, click.Command):
            raise PluginError(f"{blame}: '{self.offers[0].value}' is no click command; tell its authors.")
        return command


def plugin_commands() -> dict[str, PluginCommand]:
    """The commands that installed packages offer, by name; nothing is imported."""
    offers: dict[str, list[EntryPoint]] = {}
    for offer in offered(GROUP):
        offers.setdefault(offer.name, []).append(offer)
    return {name: PluginCommand(found) for name, found in offers.items()}


def _package(offer: EntryPoint) -> str:
    return f"'{offer.dist.name}'" if offer.dist is not None else f"of the module '{offer.module}'"
