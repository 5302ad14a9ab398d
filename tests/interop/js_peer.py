"""js-libp2p as a process."""

import json

from peers import Peer


class Theirs(Peer):
    who = "theirs"

    def ask_to_end(self):
        self.process.stdin.close()

    def tell(self, command, **members):
        self.process.stdin.write(json.dumps({"command": command, **members}) + "\n")
        self.process.stdin.flush()
