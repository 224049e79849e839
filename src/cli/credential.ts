import { readFile } from 'node:fs/promises'
import type { Flag, Invocation } from './command.ts'

/** Ways to hand over a credential that leave no trace in the process list. */
export const CREDENTIAL_FLAGS: Record<string, Flag> = {
  'bearer-env': { kind: 'text', value: 'VARIABLE', says: 'Bearer token, from this environment variable' },
  'credential-env': { kind: 'text', value: 'VARIABLE', says: 'Credential, from this environment variable' },
  'credential-file': { kind: 'text', value: 'FILE', says: 'Credential, from a file' },
  'credential-stdin': { kind: 'switch', says: 'Credential, from standard input' },
  'auth-header': { kind: 'text', value: 'NAME', says: 'Send the credential in this header instead of as a bearer token' },
}

export type ReadCredential = { ok: true; fields: { credential?: string; authType?: string; authHeaderName?: string } } | { ok: false; problem: string }

/** The connection's credential fields as the flags ask for them; empty when they ask for nothing. */
export async function readCredential(invocation: Invocation): Promise<ReadCredential> {
  const { terminal } = invocation
  const sources = ['bearer-env', 'credential-env', 'credential-file'].filter((flag) => invocation.text(flag) !== undefined)
  if (invocation.isSet('credential-stdin')) sources.push('credential-stdin')
  if (sources.length > 1) return { ok: false, problem: `${sources.map((flag) => `--${flag}`).join(' and ')} exclude each other` }
  const header = invocation.text('auth-header')
  if (header !== undefined && invocation.text('bearer-env') !== undefined) return { ok: false, problem: '--bearer-env and --auth-header exclude each other; use --credential-env' }
  const kind = header !== undefined ? { authType: 'header', authHeaderName: header } : {}
  const [source] = sources
  if (source === undefined) return { ok: true, fields: kind }

  const credential = await readFrom(source, invocation.text(source) ?? '', terminal)
  if (!credential.ok) return credential
  if (credential.text === '') return { ok: false, problem: `--${source}: the credential is empty` }
  return { ok: true, fields: { credential: credential.text, ...(header === undefined ? { authType: 'bearer' } : kind) } }
}

async function readFrom(source: string, name: string, terminal: Invocation['terminal']): Promise<{ ok: true; text: string } | { ok: false; problem: string }> {
  if (source === 'credential-stdin') return { ok: true, text: (await terminal.readStdin()).trim() }
  if (source === 'credential-file') {
    try {
      return { ok: true, text: (await readFile(name, 'utf8')).trim() }
    } catch (error) {
      return { ok: false, problem: `--credential-file: ${error instanceof Error ? error.message : String(error)}` }
    }
  }
  const text = terminal.environment[name]
  return text === undefined ? { ok: false, problem: `--${source}: the environment has no ${name}` } : { ok: true, text: text.trim() }
}
