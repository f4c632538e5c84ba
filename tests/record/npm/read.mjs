// Opens a document of several files, one behind the other, with @automerge/automerge, and tells
// what is in it as JSON. It is copied next to its node_modules and run there.

import { readFileSync } from "node:fs"
import * as Automerge from "@automerge/automerge"

const plain = (_, value) => (value instanceof Uint8Array ? { bytes: [...value] } : value)
const files = process.argv.slice(2).map(file => readFileSync(file))
const document = Automerge.load(new Uint8Array(Buffer.concat(files)))
process.stdout.write(JSON.stringify(document, plain))
