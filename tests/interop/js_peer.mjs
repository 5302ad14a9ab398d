// A js-libp2p peer for the interop suite. Prints one JSON object a line, takes commands as JSON lines on stdin,
// and ends when stdin does.
//
//   node js_peer.mjs [--listen MULTIADDR]... [--transport tcp|quic]... [--security noise|tls]...
//                    [--key-type Ed25519|secp256k1|RSA] [--relay-service] [--reserve MULTIADDR]...
//                    [--announce MULTIADDR]... [--dcutr] [--dht client|server] [--autonat v1|v1-anew|v2]
//
// Commands:
//   {"command": "dial", "address": MULTIADDR, "pings": N}    connect, then ping N times
//   {"command": "hang_up", "peer": PEER}
//   {"command": "handle", "protocol": NAME}                  answer to one protocol more, which identify pushes
//   {"command": "put", "key": TEXT, "value": TEXT}           of the DHT, as are those that follow
//   {"command": "get", "key": TEXT}
//   {"command": "provide", "content": TEXT}                  the SHA-256 of the text
//   {"command": "find_providers", "content": TEXT}
//   {"command": "find_peer", "peer": PEER}

import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { quic } from '@chainsafe/libp2p-quic'
import { autoNAT } from '@libp2p/autonat'
import { autoNATv2 } from '@libp2p/autonat-v2'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { dcutr } from '@libp2p/dcutr'
import { identify, identifyPush } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

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
    dcutr: { type: 'boolean', default: false },
    dht: { type: 'string' },
    autonat: { type: 'string' }
  }
})

const print = (event, members) => process.stdout.write(`${JSON.stringify({ event, ...members })}\n`)
const texts = (values) => (values ?? []).map(String)
const patience = () => AbortSignal.timeout(PATIENCE_MS)
const bytesOf = (text) => new TextEncoder().encode(text)
const textOf = (bytes) => new TextDecoder().decode(bytes)
const cidOf = async (content) => CID.createV1(raw.code, await sha256.digest(bytesOf(content)))
const pathOf = (connection) => texts([connection.remoteAddr])[0].includes('/p2p-circuit') ? 'relayed' : 'direct'

// Values under /flaresim/ are whatever they are, and addresses of loopback are as good as any.
const dht = () => kadDHT({
  protocol: '/ipfs/kad/1.0.0',
  clientMode: options.dht === 'client',
  peerInfoMapper: passthroughMapper,
  // What is asked waits for the first lookup of itself that knew anybody, which else comes once in five minutes.
  initialQuerySelfInterval: 500,
  querySelfInterval: 500,
  validators: { flaresim: async () => {} },
  selectors: { flaresim: () => 0 }
})

// AutoNAT v1 dials back as anything else is dialled: whom it is connected to it does not dial again. This is its own
// code with one thing changed, that it does dial.
const autonatDiallingAnew = (components) => autoNAT()(Object.create(components, {
  connectionManager: {
    value: {
      openConnection: (to, how) => components.connectionManager.openConnection(to, { ...how, force: true }),
      getConnections: () => components.connectionManager.getConnections(),
      getMaxConnections: () => components.connectionManager.getMaxConnections()
    }
  }
}))
const AUTONATS = { v1: autoNAT(), 'v1-anew': autonatDiallingAnew, v2: autoNATv2() }

// The AutoNAT services tell what they hear from others in the log only, so that this is printed; other logs are not.
const mute = Object.assign(() => {}, { error () {}, trace () {}, enabled: false, newScope: () => mute })
const say = (text, ...values) => print('autonat', { text: text.replace(/%\w/g, () => String(values.shift())) })
const loud = Object.assign(say, { error: say, trace: say, enabled: true, newScope: () => loud })
const logger = { forComponent: (name) => name.startsWith('libp2p:auto-nat') ? loud : mute }

const node = await createLibp2p({
  start: false,
  ...(options.autonat == null ? {} : { logger }),
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
    ...(options.dcutr ? { dcutr: dcutr() } : {}),
    ...(options.dht == null ? {} : { dht: dht() }),
    ...(options.autonat == null ? {} : { autonat: AUTONATS[options.autonat] })
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

// One of those with whom its lookups begin from now on.
node.services.dht?.routingTable.addEventListener('peer:add', ({ detail: peer }) => print('dht_peer', {
  peer: String(peer)
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
  },
  async put ({ key, value }) {
    let answers = 0
    for await (const event of node.services.dht.put(bytesOf(key), bytesOf(value), { signal: patience() })) {
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE') answers += 1
    }
    print('stored', { key, peers: answers })
  },
  async get ({ key }) {
    for await (const event of node.services.dht.get(bytesOf(key), { signal: patience() })) {
      if (event.name === 'VALUE') return print('value', { key, value: textOf(event.value), from: String(event.from) })
    }
    throw new Error('no value')
  },
  async provide ({ content }) {
    for await (const event of node.services.dht.provide(await cidOf(content), { signal: patience() })) {
      if (event.name === 'QUERY_ERROR') print('query_error', { error: event.error.message })
    }
    print('provided', { content })
  },
  async find_providers ({ content }) {
    const peers = []
    for await (const event of node.services.dht.findProviders(await cidOf(content), { signal: patience() })) {
      if (event.name === 'PROVIDER') peers.push(...event.providers.map(({ id }) => String(id)))
    }
    print('providers', { content, peers })
  },
  async find_peer ({ peer }) {
    for await (const event of node.services.dht.findPeer(peerIdFromString(peer), { signal: patience() })) {
      if (event.name === 'FINAL_PEER') return print('found', { peer, addresses: texts(event.peer.multiaddrs) })
    }
    throw new Error('not found')
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
