/*
 * The configuration files in which MCP clients list their servers: `mcpServers` (Claude, Cursor and most others) or `servers` (VS Code).
 */

/** What one entry becomes: the body that makes a connection, or why it cannot be one. */
export type ImportedEntry =
  | { name: string; slug: string; ok: true; transport: 'http' | 'stdio'; shown: string; body: Record<string, unknown> }
  | { name: string; slug: string | null; ok: false; reason: string }

export interface ClientFile {
  document: Record<string, unknown>
  /** The member that holds the servers. */
  member: 'mcpServers' | 'servers'
  entries: ImportedEntry[]
}

/** Headers that a client may set and no connection needs: they are no credentials. */
const PLAIN_HEADERS = new Set(['accept', 'content-type', 'user-agent'])

/** Reads such a file. Placeholders for the environment are filled in from `environment`. */
export function readClientFile(text: string, environment: Record<string, string | undefined>): { ok: true; file: ClientFile } | { ok: false; problem: string } {
  let document: unknown
  try {
    document = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    return { ok: false, problem: 'it is not JSON (comments and trailing commas are not understood)' }
  }
  if (!isObject(document)) return { ok: false, problem: 'it is not a JSON object' }
  const member = isObject(document.mcpServers) ? 'mcpServers' : 'servers'
  const servers = document[member]
  if (!isObject(servers)) return { ok: false, problem: 'it has neither "mcpServers" nor "servers"' }
  const taken = new Set<string>()
  const entries = Object.entries(servers).map(([name, entry]) => readEntry(name, entry, { environment, taken }))
  return { ok: true, file: { document, member, entries } }
}

/** The file's text with these entries pointing at the gateway; everything else stays as it was. */
export function rewritten(file: ClientFile, replacements: Map<string, object>): string {
  const servers = file.document[file.member] as Record<string, unknown>
  const changed = Object.fromEntries(Object.entries(servers).map(([name, entry]) => [name, replacements.get(name) ?? entry]))
  return `${JSON.stringify({ ...file.document, [file.member]: changed }, null, 2)}\n`
}

interface Context {
  environment: Record<string, string | undefined>
  taken: Set<string>
}

/** A placeholder that nothing fills in. */
class Unfilled extends Error {
  override name = 'Unfilled'
}

function readEntry(name: string, entry: unknown, context: Context): ImportedEntry {
  const slug = slugOf(name, context.taken)
  if (slug === null) return { name, slug, ok: false, reason: 'no slug can be made of its name' }
  if (!isObject(entry)) return { name, slug, ok: false, reason: 'it is not an object' }
  try {
    const filled = fill(entry, context.environment) as Record<string, unknown>
    const read = typeof filled.command === 'string' ? readProgramEntry(filled, filled.command) : typeof filled.url === 'string' ? readHttpEntry(filled, filled.url) : null
    if (read === null) return { name, slug, ok: false, reason: 'it has neither a command nor a url' }
    if (typeof read === 'string') return { name, slug, ok: false, reason: read }
    context.taken.add(slug)
    return { name, slug, ok: true, transport: read.transport, shown: read.shown, body: { slug, name: name.trim().slice(0, 120), transport: read.transport, ...read.body } }
  } catch (error) {
    if (error instanceof Unfilled) return { name, slug, ok: false, reason: error.message }
    throw error
  }
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
  const values = Object.fromEntries(Object.entries(env).map(([variable, value]) => [variable, String(value)]))
  const names = Object.keys(values)
  const shown = `${command}, ${args.length} arguments${names.length === 0 ? '' : `, env ${names.join(' ')}`}`
  return { transport: 'stdio', shown, body: { command, args, ...(names.length === 0 ? {} : { env: values }), ...(typeof cwd === 'string' ? { cwd } : {}) } }
}

function readHttpEntry(entry: Record<string, unknown>, text: string): ReadEntry | string {
  if (entry.type === 'sse' || entry.transport === 'sse') return 'servers over HTTP+SSE (2024-11-05) cannot be connected yet'
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) return 'its url is no http or https address'
  const headers = isObject(entry.headers) ? Object.entries(entry.headers).filter(([header]) => !PLAIN_HEADERS.has(header.toLowerCase())) : []
  if (headers.length > 1) return 'it sends several headers; a connection has one credential'
  const [header] = headers
  if (/^bearer ig_/i.test(String(header?.[1])) && url.pathname.includes('/v1/mcp/')) return 'it points at Igris already'
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

/** `${NAME}`, `${NAME:-default}` and `${env:NAME}` filled in, everywhere in a value. */
function fill(value: unknown, environment: Record<string, string | undefined>): unknown {
  if (Array.isArray(value)) return value.map((item) => fill(item, environment))
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, environment)]))
  if (typeof value !== 'string') return value
  return value.replace(/\$\{([^}]*)\}/g, (_whole, words: string) => {
    const [, name, fallback] = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/.exec(words) ?? []
    const found = name === undefined ? undefined : (environment[name] ?? fallback)
    if (found === undefined) throw new Unfilled(name === undefined ? `the client alone can fill in \${${words}}` : `the environment has no ${name}`)
    return found
  })
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
