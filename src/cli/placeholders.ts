/*
 * `${...}` in the configuration of an MCP client: what the client fills in when it starts a server is filled in once, here.
 */

export interface Fillings {
  environment: Record<string, string | undefined>
  /** The folder that the client would have open, where the file's place tells. */
  workspace: string | null
  /** Values for what the client asks its user, by id. */
  answers: ReadonlyMap<string, string>
  /** What the client asks its user, by id, in its own words. */
  inputs: ReadonlyMap<string, string>
}

/** A placeholder that nothing fills in. */
export class Unfilled extends Error {
  override name = 'Unfilled'
}

/** `value` with every placeholder in it filled in, at any depth. Throws `Unfilled`, which names the field. */
export function fill(value: unknown, fillings: Fillings, path: string[] = []): unknown {
  if (Array.isArray(value)) return value.map((item, index) => fill(item, fillings, [...path, String(index)]))
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, fill(item, fillings, [...path, name])]))
  if (typeof value !== 'string') return value
  return value.replace(/\$\{([^}]*)\}/g, (_whole, words: string) => {
    const found = meaningOf(words, fillings)
    if (found.ok) return found.text
    throw new Unfilled(`${path.join('.')}: ${found.problem}`)
  })
}

type Meaning = { ok: true; text: string } | { ok: false; problem: string }

function meaningOf(words: string, { environment, workspace, answers, inputs }: Fillings): Meaning {
  const id = /^input:(.+)$/.exec(words)?.[1]
  if (id !== undefined) {
    const asked = inputs.get(id)
    return known(answers.get(id), `the client asks its user for \${${words}}${asked ? ` ("${asked}")` : ''}; give it with --input-from ${id}=VARIABLE`)
  }
  if (words === 'workspaceFolder' || words === 'workspaceRoot') return known(workspace, `only the client knows \${${words}}`)
  if (words === 'userHome') return known(environment.HOME, 'the environment has no HOME')
  if (words === '/' || words === 'pathSeparator') return { ok: true, text: '/' }
  const [, name, fallback] = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/.exec(words) ?? []
  if (name === undefined) return { ok: false, problem: `only the client can fill in \${${words}}` }
  return known(environment[name] ?? fallback, `the environment has no ${name}`)
}

function known(text: string | null | undefined, problem: string): Meaning {
  return text === undefined || text === null ? { ok: false, problem } : { ok: true, text }
}
