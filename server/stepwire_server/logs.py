"""One JSON line per event, on standard error."""

import json
import logging
import sys
import threading
import time
from contextvars import ContextVar
from typing import Any

# The call that is being served; every line that it causes carries it.
request_id: ContextVar[str] = ContextVar("request_id", default="")

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Writes time, level, event and the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line without its end."""
        event: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if request := request_id.get():
            event["request_id"] = request
        if record.threadName != threading.main_thread().name:
            event["thread"] = record.threadName  # a model's thread has its name
        event |= {k: v for k, v in vars(record).items() if k not in _OWN_FIELDS}
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False, default=str)


class CallersLeave(logging.Filter):
    """Drops what gRPC says when a message cannot be sent: a caller that left is no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether the line is worth writing."""
        return not record.getMessage().startswith("ExecuteBatchError raised in core")


def set_up(level: str) -> None:
    """Sends every log line of the process to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(CallersLeave())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
