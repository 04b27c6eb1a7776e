"""`stepwire session`: the sessions of a caller."""

import argparse
from dataclasses import asdict
from pathlib import Path

from stepwire.cli.terminal import as_json, table, write_lines
from stepwire.client import Client
from stepwire.messages import SessionInfo


def run(args: argparse.Namespace, client: Client) -> None:
    """Lists, copies, exports or closes."""
    if args.action == "list":
        _print(client.sessions(), args)
    elif args.action == "fork":
        _print([client.copy_session(args.id)], args)
    elif args.action == "export":
        Path(args.out).write_bytes(
            client.export_session(args.id, half_precision=args.half_precision)
        )
    else:
        client.close_session(args.id)


def _print(sessions: list[SessionInfo], args: argparse.Namespace) -> None:
    if args.json:
        write_lines([as_json(asdict(session)) for session in sessions])
        return
    head = ("MODEL", "VERSION", "NEXT STEP", "BYTES", "EXPIRES IN", "ID")
    rows = [
        (
            s.model,
            s.version,
            str(s.next_step),
            str(s.size_bytes),
            f"{s.idle_seconds_left:.0f} s",
            s.id,
        )
        for s in sessions
    ]
    write_lines(table([head, *rows]))
