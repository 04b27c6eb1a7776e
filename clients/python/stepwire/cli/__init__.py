"""The command `stepwire`: `arguments` says what it takes, `app` runs it, a module a command."""

from stepwire.cli.app import main

__all__ = ["main"]
