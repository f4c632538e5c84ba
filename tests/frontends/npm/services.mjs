// A frontend on @jupyterlab/services, as VS Code is one: it does what it is told, one JSON line at a
// time, and tells what it sees in the same way. It is copied next to its node_modules and run there
// (tests/frontends/services_client.py).

import { createInterface } from "node:readline"
import services from "@jupyterlab/services"

const { KernelManager, KernelSpecManager, ServerConnection, SessionManager } = services

for (const level of ["log", "debug", "warn", "info"]) console[level] = console.error // stdout is for what it tells
const tell = (event, more = {}) => process.stdout.write(JSON.stringify({ event, ...more }) + "\n")
const pack = buffers => (buffers ?? []).map(each => Buffer.from(each.buffer ?? each).toString("base64"))
const unpack = buffers => (buffers ?? []).map(each => new Uint8Array(Buffer.from(each, "base64")))
const short = ({ header, parent_header, channel, content, buffers }) => ({
  channel,
  type: header.msg_type,
  id: header.msg_id,
  parent: parent_header.msg_id,
  content,
  buffers: pack(buffers),
})

let kernels, specs, sessions
const connections = {} // kernel connections by the names that the test gives them
const sessionConnections = {}
const futures = {}
const comms = {}

const watch = (name, kernel) => {
  connections[name] = kernel
  kernel.statusChanged.connect((_, status) => tell("status", { name, status }))
  kernel.connectionStatusChanged.connect((_, status) => tell("connection", { name, status }))
  kernel.iopubMessage.connect((_, message) => tell("iopub", { name, ...short(message) }))
  kernel.anyMessage.connect((_, { msg, direction }) => tell("any", { name, direction, ...short(msg) }))
  kernel.disposed.connect(() => tell("disposed", { name }))
  return { id: kernel.id, name: kernel.name, clientId: kernel.clientId }
}

const keep = (name, comm) => {
  comms[`${name} ${comm.commId}`] = comm
  comm.onMsg = message => tell("comm", { name, comm: comm.commId, ...short(message) })
  comm.onClose = () => tell("comm closed", { name, comm: comm.commId })
}

const commands = {
  async open({ url, token }) {
    const serverSettings = ServerConnection.makeSettings({ baseUrl: url, token })
    specs = new KernelSpecManager({ serverSettings, standby: "never" })
    kernels = new KernelManager({ serverSettings, standby: "never" })
    sessions = new SessionManager({ kernelManager: kernels, serverSettings, standby: "never" })
    await Promise.all([specs.ready, kernels.ready, sessions.ready])
  },

  // Kernels and their kernelspecs

  async specs() {
    await specs.refreshSpecs()
    return specs.specs
  },
  async kernels() {
    await kernels.refreshRunning()
    return [...kernels.running()]
  },
  start: async ({ name, kernel }) => watch(name, await kernels.startNew({ name: kernel })),
  connect: async ({ name, id }) => watch(name, kernels.connectTo({ model: await kernels.findById(id) })),
  forget: ({ id }) => kernels.shutdown(id),

  // Sessions

  async sessions() {
    await sessions.refreshRunning()
    return [...sessions.running()]
  },
  async openNotebook({ name, path, kernel }) {
    const session = await sessions.startNew({ path, name: path, type: "notebook", kernel })
    sessionConnections[name] = session
    return { session: session.model, ...watch(name, session.kernel) }
  },
  async connectNotebook({ name, path }) {
    const session = sessions.connectTo({ model: await sessions.findByPath(path) })
    sessionConnections[name] = session
    return { session: session.model, ...watch(name, session.kernel) }
  },
  async renameNotebook({ name, path }) {
    await sessionConnections[name].setPath(path)
    return sessionConnections[name].model
  },
  async changeKernel({ name, kernel }) {
    return watch(name, await sessionConnections[name].changeKernel(kernel))
  },
  closeNotebook: ({ name }) => sessionConnections[name].shutdown(),

  // A kernel connection

  info: ({ name }) => connections[name].info,
  spec: ({ name }) => connections[name].spec,
  interrupt: ({ name }) => connections[name].interrupt(),
  restart: ({ name }) => connections[name].restart(),
  reconnect: ({ name }) => connections[name].reconnect(),
  shutdown: ({ name }) => connections[name].shutdown(),
  dispose: ({ name }) => connections[name].dispose(),
  look({ name }) {
    const { status, connectionStatus, isDisposed } = connections[name]
    return { status, connectionStatus, isDisposed }
  },
  request: async ({ name, method, content }) => short(await connections[name][method](content)),

  execute({ name, cell, code, ...content }) {
    const future = connections[name].requestExecute({ code, ...content })
    futures[cell] = future
    future.onIOPub = message => tell("output", { cell, ...short(message) })
    future.onReply = message => tell("reply", { cell, ...short(message) })
    future.onStdin = message => tell("prompt", { cell, ...short(message) })
    future.done.then(
      message => tell("done", { cell, ...short(message) }),
      error => tell("cancelled", { cell, why: error.message })
    )
    return future.msg.header.msg_id
  },
  answer({ cell, value, to }) {
    futures[cell].sendInputReply({ value, status: "ok" }, to)
  },

  // Comms

  listen({ name, target }) {
    connections[name].registerCommTarget(target, (comm, message) => {
      keep(name, comm)
      tell("comm opened", { name, comm: comm.commId, ...short(message) })
    })
  },
  async openComm({ name, target, id, data, buffers, metadata }) {
    const comm = connections[name].createComm(target, id)
    keep(name, comm)
    await comm.open(data, metadata, unpack(buffers)).done
    return comm.commId
  },
  join: ({ name, target, id }) => keep(name, connections[name].createComm(target, id)),
  async sendComm({ name, comm, data, buffers }) {
    await comms[`${name} ${comm}`].send(data, {}, unpack(buffers)).done
  },
  async subshellOf({ name, comm }) {
    await comms[`${name} ${comm}`].subshellStarted
    return comms[`${name} ${comm}`].subshellId
  },
  closeComm: async ({ name, comm }) => void (await comms[`${name} ${comm}`].close().done),
}

process.on("uncaughtException", error => tell("failed", { why: String(error.stack) }))
process.on("unhandledRejection", error => tell("failed", { why: String(error?.stack ?? error) }))
for await (const line of createInterface({ input: process.stdin })) {
  const { do: command, number, ...rest } = JSON.parse(line)
  Promise.resolve()
    .then(() => commands[command](rest))
    .then(
      value => tell("answer", { number, value: value ?? null }),
      error => tell("answer", { number, error: error.message, status: error.response?.status ?? null })
    )
}
process.exit(0)
