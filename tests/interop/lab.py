"""Three hosts on one wire, with addresses that look public: js-libp2p neither sends nor dials private ones."""

ADDRESSES = {"relay": "11.0.0.1", "dialler": "11.0.0.2", "listener": "11.0.0.3"}
SECOND_ADDRESSES = {"relay": "9.0.0.1", "dialler": "9.0.0.2", "listener": "9.0.0.3"}
PORT = 4001  # each host has it to itself


class Lab:
    """Each host in a namespace; the wire is a bridge in the relay's."""

    def __init__(self, namespaces):
        self._namespaces = namespaces
        for host in ADDRESSES:
            namespaces.make(host)
        self._wire()

    def namespace(self, host):
        return self._namespaces.of(host)

    def _wire(self):
        ip = self._namespaces.ip
        ip("relay", "link", "add", "wire", "type", "bridge")
        ip("relay", "addr", "add", f"{ADDRESSES['relay']}/24", "dev", "wire")
        ip("relay", "link", "set", "wire", "up")
        for host in ("dialler", "listener"):
            ip("relay", "link", "add", host, "type", "veth", "peer", "name", "eth", "netns", self.namespace(host))
            ip("relay", "link", "set", host, "master", "wire", "up")
            ip(host, "addr", "add", f"{ADDRESSES[host]}/24", "dev", "eth")
            ip(host, "link", "set", "eth", "up")

    def add_second_addresses(self):
        """Every host can be reached at two, and dials those at the first ones of others from its first one."""
        for host, address in SECOND_ADDRESSES.items():
            self._namespaces.ip(host, "addr", "add", f"{address}/24", "dev", "wire" if host == "relay" else "eth")

    def refuse_unsolicited(self, host):
        """`host` can dial, and cannot be dialled. The first TCP SYN is refused, so that connection reversal is over
        at once; others stay unanswered, so that a punch has the time that it takes the other side to connect."""
        def nft(*words):
            self._namespaces.must(host, "nft", *words)

        nft("add", "table", "inet", "wall")
        nft("add", "chain", "inet", "wall", "in", "{ type filter hook input priority 0; }")
        unsolicited = ("th", "dport", str(PORT), "ct", "state", "new")
        nft("add", "rule", "inet", "wall", "in", "meta", "l4proto", "tcp", *unsolicited, "limit", "rate", "1/hour",
            "burst", "1", "packets", "reject", "with", "tcp", "reset")
        nft("add", "rule", "inet", "wall", "in", "meta", "l4proto", "{ tcp, udp }", *unsolicited, "drop")
