// A js-libp2p peer for the interop suite. Prints one JSON object a line, takes commands as JSON lines on stdin,
// and ends when stdin does.
//
//   node js_peer.mjs [--listen MULTIADDR]... [--transport tcp|quic]... [--security noise|tls]...
//                    [--key-type Ed25519|secp256k1|RSA] [--relay-service] [--reserve MULTIADDR]...
//                    [--announce MULTIADDR]... [--dcutr]
//
// Commands:
//   {"command": "dial", "address": MULTIADDR, "pings": N}    connect, then ping N times
//   {"command": "hang_up", "peer": PEER}
//   {"command": "handle", "protocol": NAME}                  answer to one protocol more, which identify pushes

import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { quic } from '@chainsafe/libp2p-quic'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { dcutr } from '@libp2p/dcutr'
import { identify, identifyPush } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const TRANSPORTS = { tcp, quic }
const SECURITIES = { noise, tls }
const PATIENCE_MS = 20_000

const repeatable = { type: 'string', multiple: true }
const { values: options } = parseArgs({
  options: {
    listen: { ...repeatable, default: [] },
    transport: { ...repeatable, default: ['tcp'] },
    security: { ...repeatable, default: ['noise'] },
    'key-type': { type: 'string', default: 'Ed25519' },
    'relay-service': { type: 'boolean', default: false },
    reserve: { ...repeatable, default: [] },
    announce: { ...repeatable, default: [] },
    dcutr: { type: 'boolean', default: false }
  }
})

const print = (event, members) => process.stdout.write(`${JSON.stringify({ event, ...members })}\n`)
const texts = (values) => (values ?? []).map(String)
const patience = () => AbortSignal.timeout(PATIENCE_MS)
const pathOf = (connection) => texts([connection.remoteAddr])[0].includes('/p2p-circuit') ? 'relayed' : 'direct'

const node = await createLibp2p({
  start: false,
  privateKey: await generateKeyPair(options['key-type']),
  addresses: {
    listen: [...options.listen, ...options.reserve.map((relay) => `${relay}/p2p-circuit`)],
    appendAnnounce: options.announce
  },
  transports: [...options.transport.map((name) => TRANSPORTS[name]()), circuitRelayTransport()],
  connectionEncrypters: options.security.map((name) => SECURITIES[name]()),
  streamMuxers: [yamux()],
  // The whole suite dials from one address, which the default of 5 connections a second would refuse.
  connectionManager: { inboundConnectionThreshold: Infinity },
  // Loopback addresses are not dialled by default.
  connectionGater: { denyDialMultiaddr: () => false },
  services: {
    identify: identify(),
    identifyPush: identifyPush(),
    ping: ping(),
    ...(options['relay-service'] ? { relay: circuitRelayServer() } : {}),
    ...(options.dcutr ? { dcutr: dcutr() } : {})
  }
})

node.addEventListener('connection:open', ({ detail: connection }) => print('connected', {
  connection: connection.id,
  peer: String(connection.remotePeer),
  address: String(connection.remoteAddr),
  direction: connection.direction,
  path: pathOf(connection),
  security: connection.encryption,
  muxer: connection.multiplexer,
  limit: connection.limits == null
    ? undefined
    : { duration_s: connection.limits.seconds, bytes: Number(connection.limits.bytes) }
}))

node.addEventListener('connection:close', ({ detail: connection }) => print('disconnected', {
  connection: connection.id,
  peer: String(connection.remotePeer)
}))

// js-libp2p says the same for what it asked for and for what was pushed to it.
node.addEventListener('peer:identify', ({ detail: result }) => print('identified', {
  connection: result.connection.id,
  peer: String(result.peerId),
  agent: result.agentVersion,
  protocol_version: result.protocolVersion,
  protocols: result.protocols,
  addresses: texts(result.listenAddrs),
  observed_address: result.observedAddr == null ? null : String(result.observedAddr),
  record: result.signedPeerRecord == null ? null : texts(result.signedPeerRecord.addresses)
}))

const printAddresses = () => print('addresses', { addresses: texts(node.getMultiaddrs()) })
node.addEventListener('self:peer:update', printAddresses)

const commands = {
  async dial ({ address, pings }) {
    const connection = await node.dial(multiaddr(address), { signal: patience() })
    for (let i = 0; i < pings; i++) {
      const rtt = await node.services.ping.ping(connection.remotePeer, { signal: patience() })
      print('ping', { peer: String(connection.remotePeer), path: pathOf(connection), rtt_ms: rtt })
    }
    print('done', { peer: String(connection.remotePeer) })
  },
  async hang_up ({ peer }) {
    await node.hangUp(peerIdFromString(peer), { signal: patience() })
  },
  async handle ({ protocol }) {
    await node.handle(protocol, (stream) => stream.abort(new Error('nothing to say')))
  }
}

async function obey (line) {
  const order = JSON.parse(line)
  try {
    await commands[order.command](order)
  } catch (error) {
    print('failed', { what: order.command, error: `${error.name}: ${error.message}` })
  }
}

await node.start()
print('listening', { peer: String(node.peerId), addresses: texts(node.getMultiaddrs()) })
createInterface({ input: process.stdin }).on('line', obey).on('close', async () => {
  await node.stop()
  process.exit(0)
})
