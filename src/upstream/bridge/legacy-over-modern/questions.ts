import { isJsonObject, objectOr, type JsonObject } from './exact-json.ts'

export interface InputRequest {
  method: string
  params: JsonObject
}

/** How a client answered a question. */
export type QuestionAnswer = { ok: true; result: unknown } | { ok: false; message: string }

/** Why the client cannot be asked this, as a sentence; null where it can. */
export function whyNotAskable(request: InputRequest, offered: JsonObject): string | null {
  const { method, params } = request
  switch (method) {
    case 'roots/list':
      return offered.roots === undefined ? lacks(method, 'roots') : null
    case 'sampling/createMessage':
      if (offered.sampling === undefined) return lacks(method, 'sampling')
      return params.tools !== undefined && objectOr(offered.sampling).tools === undefined ? lacks(method, 'sampling.tools') : null
    case 'elicitation/create': {
      if (offered.elicitation === undefined) return lacks(method, 'elicitation')
      const modes = objectOr(offered.elicitation)
      if (params.mode === 'url') return modes.url === undefined ? lacks(method, 'elicitation.url') : null
      // An empty offer stands for forms.
      return modes.form === undefined && modes.url !== undefined ? lacks(method, 'elicitation.form') : null
    }
    default:
      return `The MCP server asks for "${method.slice(0, 100)}", which no client of an earlier revision knows.`
  }
}

function lacks(method: string, capability: string): string {
  return `The MCP server asks for "${method}" to go on, and this client did not offer "${capability}" when it initialized.`
}

/** The questions of an `input_required` result by their key; null where they are not well-formed, or too many. */
export function readInputRequests(inputRequests: unknown, countMax: number): Map<string, InputRequest> | null {
  if (inputRequests === undefined) return new Map()
  if (!isJsonObject(inputRequests)) return null
  const entries = Object.entries(inputRequests)
  if (entries.length > countMax) return null
  const read = new Map<string, InputRequest>()
  for (const [key, request] of entries) {
    if (!isJsonObject(request) || typeof request.method !== 'string') return null
    read.set(key, { method: request.method, params: objectOr(request.params) })
  }
  return read
}

/** A server's question as a legacy client expects it. */
export function questionText(id: string, { method, params }: InputRequest): string {
  // What a client may report the end of; the modern form has no such name.
  const own = method === 'elicitation/create' && params.mode === 'url' && params.elicitationId === undefined ? { ...params, elicitationId: id } : params
  return JSON.stringify({ jsonrpc: '2.0', id, method, params: own })
}

/** Questions of one session that wait for its client. Bounded; nobody else's response is taken. */
export class Questions {
  readonly #waiting = new Map<string, (answer: QuestionAnswer) => void>()

  get count(): number {
    return this.#waiting.size
  }

  ask(id: string): Promise<QuestionAnswer> {
    return new Promise((resolve) => this.#waiting.set(id, resolve))
  }

  /** Takes a response that the client posted; one that answers nothing is dropped. */
  answer({ id, result, error }: JsonObject): void {
    if (typeof id !== 'string') return
    const settle = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) settle?.({ ok: true, result })
    else settle?.({ ok: false, message: String(objectOr(error).message ?? 'no reason given').slice(0, 500) })
  }

  drop(ids: Iterable<string>, why: string): void {
    for (const id of ids) {
      const settle = this.#waiting.get(id)
      this.#waiting.delete(id)
      settle?.({ ok: false, message: why })
    }
  }

  dropAll(why: string): void {
    this.drop([...this.#waiting.keys()], why)
  }
}
