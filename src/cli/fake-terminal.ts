import type { Igris } from '../compose.ts'
import { ok } from '../core/result.ts'
import type { Terminal } from './command.ts'

export interface FakeTerminal extends Terminal {
  stdout(): string
  stderr(): string
  signal(name: string): void
  requests: { method: string; path: string; body: unknown }[]
}

export interface FakeOptions {
  environment?: Record<string, string>
  stdin?: string
  /** Answers the API; what it was asked is in `requests`. */
  api?: (request: Request) => Response | Promise<Response>
  igris?: Partial<Igris>
}

/** For tests of commands: streams in memory, and an Igris that only notes what it is asked. */
export function fakeTerminal({ environment = {}, stdin = '', api, igris = {} }: FakeOptions = {}): FakeTerminal {
  let out = ''
  let said = ''
  let listener: (signal: string) => void = () => {}
  const requests: FakeTerminal['requests'] = []
  const product: Igris = {
    api: async (request) => {
      const { pathname, search } = new URL(request.url)
      const text = await request.clone().text()
      requests.push({ method: request.method, path: pathname + search, body: text === '' ? undefined : JSON.parse(text) })
      return api?.(request) ?? Response.json({ data: {} })
    },
    serve: async () => ({ url: 'http://127.0.0.1:3100', stop: async () => {} }),
    setupUrl: async () => null,
    createOwner: async () => ok({ organizationId: 'org_1', personId: 'per_1' }) as Awaited<ReturnType<Igris['createOwner']>>,
    rotateMasterKey: async () => ok({ connections: 0 }),
    resetPassword: async () => ok({ id: 'per_1', email: 'a@example.com', password: 'made-up', sessionsEnded: 0, secondFactor: 'off', passwordSignsIn: true }),
    backup: async () => ok(undefined),
    close: async () => {},
    ...igris,
  }
  return {
    out: (text) => void (out += `${text}\n`),
    write: (bytes) => void (out += Buffer.from(bytes).toString()),
    say: (text) => void (said += `${text}\n`),
    readStdin: async () => stdin,
    environment,
    compose: async () => ok(product),
    onSignal: (callback) => {
      listener = callback
      return () => {}
    },
    exit: () => {},
    stdout: () => out,
    stderr: () => said,
    signal: (name) => listener(name),
    requests,
  }
}
