// An automerge-repo client as a frontend has one, that joins a session again and again: for each
// line {url, root} on its input a new repo connects, finds the root document and the one that it
// names, and reads it. It is copied next to its node_modules and run there (bench/npm_client.py).

import { createInterface } from "node:readline"
import { Repo } from "@automerge/automerge-repo"
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket"

console.log = console.error // standard output is for what it tells
const tell = more => process.stdout.write(JSON.stringify(more) + "\n")

tell({ ready: true })
for await (const line of createInterface({ input: process.stdin })) {
  const { url, root } = JSON.parse(line)
  const began = performance.now()
  const idle = process.cpuUsage()
  const adapter = new WebSocketClientAdapter(url)
  const repo = new Repo({ network: [adapter] })
  const named = (await repo.find(root)).doc()
  const rooted = performance.now()
  const document = (await repo.find(String(named.document))).doc()
  const comms = Object.values(document.comms)
  const models = comms.filter(comm => comm.closed === null && String(comm.content)).length
  const joined = performance.now()
  const used = process.cpuUsage(idle)
  adapter.disconnect()
  const cpuMs = (used.user + used.system) / 1000
  tell({ models, rootMs: rooted - began, ms: joined - began, cpuMs })
}
process.exit(0)
