import type { JsonNode } from './json-with-comments.ts'
import { readJsonWithComments, withReplaced } from './json-with-comments.ts'
import { fill, Unfilled } from './placeholders.ts'
import type { Fillings } from './placeholders.ts'

/*
 * The configuration files in which MCP clients list their servers: `mcpServers` (Claude, Cursor, Windsurf and most others), `servers` (VS Code),
 * or either of them below `mcp` (settings of VS Code). Comments and trailing commas are understood.
 */

/** What one entry becomes: the body that makes a connection, or why it cannot be one. */
export type ImportedEntry =
  | { name: string; slug: string; ok: true; transport: 'http' | 'stdio'; shown: string; body: Record<string, unknown> }
  | { name: string; slug: string | null; ok: false; reason: string; pointsHere?: true }

export interface ClientFile {
  text: string
  /** Where each server stands. */
  servers: Map<string, JsonNode>
  entries: ImportedEntry[]
}

/** Headers that a client may set and no connection needs: they are no credentials. */
const PLAIN_HEADERS = new Set(['accept', 'content-type', 'user-agent'])
/** What is read of an entry. A placeholder elsewhere is nobody's business here. */
const USED = new Set(['command', 'args', 'env', 'envFile', 'cwd', 'url', 'serverUrl', 'httpUrl', 'headers'])
/** Where the servers are, the most specific first. */
const PLACES = [['mcpServers'], ['servers'], ['mcp', 'servers'], ['mcp', 'mcpServers']]

/** Reads such a file. Placeholders are filled in from `fillings`. */
export function readClientFile(text: string, fillings: Omit<Fillings, 'inputs'>): { ok: true; file: ClientFile } | { ok: false; problem: string } {
  const read = readJsonWithComments(text)
  if (!read.ok) return { ok: false, problem: `it is not JSON: ${read.problem}` }
  if (read.node.members === null) return { ok: false, problem: 'it is not a JSON object' }
  const [servers] = PLACES.map((path) => nodeAt(read.node, path)).filter((node) => node?.members != null)
  if (servers?.members == null) return { ok: false, problem: 'it has neither "mcpServers" nor "servers"' }
  // Connections that entries point at already have their slugs.
  const taken = new Set([...servers.members.values()].flatMap(({ value }) => (isObject(value) && pointsHere(value) ? [slugBehind(value) ?? ''] : [])))
  const context: Context = { fillings: { ...fillings, inputs: inputsOf(read.node) }, taken }
  const entries = [...servers.members].map(([name, { value }]) => readEntry(name, value, context))
  return { ok: true, file: { text, servers: servers.members, entries } }
}

/** The file's text with these entries pointing at the gateway; every other byte stays as it was. */
export function rewritten(file: ClientFile, replacements: Map<string, object>): string {
  return withReplaced(file.text, [...replacements].flatMap(([name, value]) => {
    const node = file.servers.get(name)
    return node === undefined ? [] : [{ node, value }]
  }))
}

function nodeAt(node: JsonNode, path: string[]): JsonNode | undefined {
  return path.reduce<JsonNode | undefined>((at, name) => at?.members?.get(name), node)
}

/** What VS Code asks its user for, by id, with the words that it asks in. */
function inputsOf(node: JsonNode): Map<string, string> {
  const inputs = [['inputs'], ['mcp', 'inputs']].map((path) => nodeAt(node, path)?.value).find(Array.isArray) ?? []
  return new Map(inputs.filter(isObject).map(({ id, description }) => [String(id), typeof description === 'string' ? description : '']))
}

interface Context {
  fillings: Fillings
  taken: Set<string>
}

function readEntry(name: string, entry: unknown, context: Context): ImportedEntry {
  if (isObject(entry) && pointsHere(entry)) return { name, slug: slugBehind(entry), ok: false, reason: 'it points at Igris already', pointsHere: true }
  const slug = slugOf(name, context.taken)
  if (slug === null) return { name, slug, ok: false, reason: 'no slug can be made of its name' }
  if (!isObject(entry)) return { name, slug, ok: false, reason: 'it is not an object' }
  if (entry.disabled === true || entry.enabled === false) return { name, slug, ok: false, reason: 'it is turned off in the client' }
  try {
    const used = Object.fromEntries(Object.entries(entry).filter(([member]) => USED.has(member)))
    const filled = fill(used, context.fillings) as Record<string, unknown>
    const url = filled.url ?? filled.serverUrl ?? filled.httpUrl
    const read = typeof filled.command === 'string' ? readProgramEntry(filled, filled.command) : typeof url === 'string' ? readHttpEntry(filled, url) : null
    if (read === null) return { name, slug, ok: false, reason: 'it has neither a command nor a url' }
    if (typeof read === 'string') return { name, slug, ok: false, reason: read }
    context.taken.add(slug)
    return { name, slug, ok: true, transport: read.transport, shown: read.shown, body: { slug, name: name.trim().slice(0, 120), transport: read.transport, ...read.body } }
  } catch (error) {
    if (error instanceof Unfilled) return { name, slug, ok: false, reason: error.message }
    throw error
  }
}

/** Made by an earlier run: the address of a connection, with a key for it. */
function pointsHere(entry: Record<string, unknown>): boolean {
  return slugBehind(entry) !== null && /Bearer ig_/.test(JSON.stringify([entry.headers, entry.env]))
}

function slugBehind(entry: Record<string, unknown>): string | null {
  const addresses = [entry.url, entry.serverUrl, entry.httpUrl, ...(Array.isArray(entry.args) ? entry.args : [])]
  return addresses.map((address) => /^https?:\/\/[^?#]*\/v1\/mcp\/([a-z0-9][a-z0-9_-]*)$/.exec(String(address))?.[1]).find((slug) => slug !== undefined) ?? null
}

interface ReadEntry {
  transport: 'http' | 'stdio'
  /** For people. Arguments and queries can hold secrets, so only their number, or nothing, is told. */
  shown: string
  body: Record<string, unknown>
}

function readProgramEntry(entry: Record<string, unknown>, command: string): ReadEntry | string {
  const { args = [], env = {}, cwd } = entry
  if (!Array.isArray(args) || !args.every((arg) => typeof arg === 'string')) return 'its args are not a list of texts'
  if (!isObject(env)) return 'its env is not an object'
  // Without its lines the program would start in another state than the client starts it in.
  if (entry.envFile !== undefined) return 'its envFile is not read: write what it sets into env'
  const odd = Object.entries(env).find(([, value]) => !['string', 'number', 'boolean'].includes(typeof value))
  if (odd !== undefined) return `its env.${odd[0]} is not a text`
  const values = Object.fromEntries(Object.entries(env).map(([variable, value]) => [variable, String(value)]))
  const names = Object.keys(values)
  const shown = `${command}, ${args.length} arguments${names.length === 0 ? '' : `, env ${names.join(' ')}`}`
  return { transport: 'stdio', shown, body: { command, args, ...(names.length === 0 ? {} : { env: values }), ...(typeof cwd === 'string' ? { cwd } : {}) } }
}

function readHttpEntry(entry: Record<string, unknown>, text: string): ReadEntry | string {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) return 'its url is no http or https address'
  const headers = isObject(entry.headers) ? Object.entries(entry.headers).filter(([header]) => !PLAIN_HEADERS.has(header.toLowerCase())) : []
  if (headers.length > 1) return `it sends several headers (${headers.map(([name]) => name).join(', ')}); a connection has one credential`
  const [header] = headers
  const body = { upstreamUrl: text, ...credentialOf(header) }
  return { transport: 'http', shown: `${url.origin}${url.pathname}${header === undefined ? '' : `, credential in ${header[0]}`}`, body }
}

function credentialOf(header: [string, unknown] | undefined): Record<string, unknown> {
  if (header === undefined) return { authType: 'none' }
  const [name, value] = header
  const bearer = name.toLowerCase() === 'authorization' ? /^bearer\s+(.+)$/i.exec(String(value))?.[1] : undefined
  if (bearer !== undefined) return { authType: 'bearer', credential: bearer }
  return { authType: 'header', authHeaderName: name, credential: String(value) }
}

function slugOf(name: string, taken: Set<string>): string | null {
  const plain = name.normalize('NFKD').toLowerCase().replace(/[^a-z0-9_-]+/g, '-').replace(/^[^a-z0-9]+|-+$/g, '').slice(0, 58)
  if (plain === '') return null
  const base = plain.length < 3 ? `${plain}-mcp` : plain
  for (let number = 1; ; number++) {
    const slug = number === 1 ? base : `${base}-${number}`
    if (!taken.has(slug)) return slug
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
