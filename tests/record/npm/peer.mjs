// An automerge-repo client that does what it is told, one JSON line at a time, and tells what it
// sees in the same way. It is copied next to its node_modules and run there (tests/record/peer.py).

import { createInterface } from "node:readline"
import { Repo } from "@automerge/automerge-repo"
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket"

console.log = console.error // standard output is for what it tells
const tell = (event, more = {}) => process.stdout.write(JSON.stringify({ event, ...more }) + "\n")
const plain = (_, value) => (value instanceof Uint8Array ? { bytes: [...value] } : value)
const show = value => JSON.parse(JSON.stringify(value, plain))

let repo, adapter
const handles = {}
const count = { received: 0, sent: 0, bytes: 0 }

const watch = (name, handle) => {
  handles[name] = handle
  handle.on("change", ({ doc }) => tell("changed", { name, doc: show(doc) }))
  handle.on("ephemeral-message", ({ senderId, message }) =>
    tell("heard", { name, from: senderId, message: show(message) })
  )
}

const commands = {
  connect({ url, peer, retry = 100 }) {
    adapter = new WebSocketClientAdapter(url, retry)
    adapter.on("peer-candidate", ({ peerId }) => tell("connected", { peer: peerId }))
    adapter.on("peer-disconnected", ({ peerId }) => tell("disconnected", { peer: peerId }))
    adapter.on("message", message => {
      count.received += 1
      count.bytes += message.data?.length ?? 0
    })
    const send = adapter.send.bind(adapter)
    adapter.send = message => {
      count.sent += 1
      send(message)
    }
    repo = new Repo({ network: [adapter], peerId: peer })
  },

  async find({ url, name }) {
    const began = performance.now()
    try {
      const handle = await repo.find(url)
      const ms = performance.now() - began
      watch(name, handle)
      tell("found", { name, ms, doc: show(handle.doc()) })
    } catch (error) {
      tell("unavailable", { name, why: String(error) })
    }
  },

  create({ name, value }) {
    const handle = repo.create(value)
    watch(name, handle)
    tell("created", { name, url: handle.url })
  },

  look: ({ name }) => tell("looked", { name, doc: show(handles[name].doc()) }),
  heads: ({ name }) => tell("heads", { name, heads: handles[name].heads() }),
  write: ({ name, key, value }) => handles[name].change(doc => void (doc[key] = value)),
  say: ({ name, message }) => handles[name].broadcast(message),
  counted: () => tell("counted", count),
  pause() {
    adapter.socket.pause()
    tell("paused")
  },
  resume: () => adapter.socket.resume(),
  disconnect: () => adapter.disconnect(),
}

process.on("uncaughtException", error => tell("failed", { why: String(error) }))
process.on("unhandledRejection", error => tell("failed", { why: String(error) }))
for await (const line of createInterface({ input: process.stdin })) {
  const { do: command, ...rest } = JSON.parse(line)
  await commands[command](rest)
}
process.exit(0)
