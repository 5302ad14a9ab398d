"""Processes that print one JSON object a line, such as `flaresim node`."""

import json
import signal
import subprocess
import threading
import time

PATIENCE_S = 25


class Peer:
    """One process, which the test ends by its own pid. `id` and `address` are known once it listens."""

    who = ""  # what to call it

    def __init__(self, command, log, namespace=None):
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        self.log = log
        self.events = []
        self._news = threading.Condition()
        self._ended = False
        with open(log, "w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [*prefix, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            with self._news:
                self.events.append(event)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for(self, event, where=lambda found: True, seconds=PATIENCE_S, **members):
        """The first event, past or to come, of that name, with these members, for which `where` holds."""
        def matches(found):
            return (found["event"] == event and all(found.get(key) == value for key, value in members.items())
                    and where(found))

        end = time.monotonic() + seconds
        seen = 0
        with self._news:
            while True:
                for found in self.events[seen:]:
                    if matches(found):
                        return found
                seen = len(self.events)
                if self._ended or not self._news.wait(max(0, end - time.monotonic())):
                    raise AssertionError(f"{'ended' if self._ended else 'waited'} without {event} {members}\n{self}")

    def all(self, event, **members):
        with self._news:
            return [found for found in self.events if found["event"] == event
                    and all(found.get(key) == value for key, value in members.items())]

    def wait_until_listening(self):
        listening = self.wait_for("listening")
        self.id = listening["peer"]
        self.address = next(iter(listening["addresses"]), None)
        return self

    def wait(self, seconds=PATIENCE_S):
        """Its exit code; `events` is complete then."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code

    def ask_to_end(self):
        raise NotImplementedError

    def stop(self):
        if self.process.poll() is None:
            self.ask_to_end()
        try:
            return self.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait()
            raise
        finally:
            self.process.stdin.close()

    def __str__(self):
        with open(self.log, encoding="utf-8") as errors:
            lines = [f"{self.who}: {' '.join(self.process.args)}", *map(json.dumps, self.events), errors.read()]
        return "\n  ".join(lines)


class Ours(Peer):
    who = "ours"

    def ask_to_end(self):
        self.process.send_signal(signal.SIGTERM)
