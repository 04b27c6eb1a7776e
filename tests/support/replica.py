"""A server process that may be killed and started again."""

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager


class Replica:
    """A server on a port of its own, which it keeps; those with the same keys are replicas."""

    def __init__(self, repository, keys, port=None, flags=()):
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._command = [
            *(sys.executable, "-m", "stepwire_server", "--model-repository", str(repository)),
            *("--grpc-port", str(self.port), "--no-metrics", "--key-file", str(keys)),
            *("--exit-timeout-secs", "1", *flags),
        ]
        self._keys = keys
        self.logs = []  # one for each start
        self.process = None

    def start(self):
        """Starts it, and waits until it is ready; the log is read as it grows."""
        self.logs.append(self._keys.with_name(f"log-{self.port}-{len(self.logs)}"))
        with self.logs[-1].open("w") as log:
            self.process = subprocess.Popen(self._command, stderr=log)
        gives_up_at = time.monotonic() + 60
        while '"server ready"' not in self.logs[-1].read_text():
            assert self.process.poll() is None, self.logs[-1].read_text()
            assert time.monotonic() < gives_up_at
            time.sleep(0.02)

    def end(self, number=signal.SIGKILL):
        """Ends it if it runs."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)


@contextmanager
def server_process(repository, *flags):
    """A server on a port that it picks; gives its address."""
    command = [
        *(sys.executable, "-m", "stepwire_server", "--model-repository", str(repository)),
        *("--grpc-port", "0", "--metrics-port", "0", "--exit-timeout-secs", "1", *flags),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        lines = iter(process.stderr.readline, "")
        ready = next((line for line in lines if '"server ready"' in line), None)
        assert ready is not None, "the server did not start"
        yield f"127.0.0.1:{json.loads(ready)['grpc_port']}"
    finally:
        process.terminate()
        process.stderr.close()
        process.wait(20)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]
