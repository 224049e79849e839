import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, basename } from 'node:path'
import type { PolicyFile } from '../core/policy/policy-file.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import type { Invocation } from './command.ts'

/** JSON or YAML, from a file or `-` for standard input. */
export async function readDocument(invocation: Pick<Invocation, 'terminal'>, name: string): Promise<Result<unknown>> {
  try {
    const text = name === '-' ? await invocation.terminal.readStdin() : await readFile(name, 'utf8')
    if (/^\s*[{[]/.test(text)) return ok(JSON.parse(text))
    const { parse } = await import('yaml')
    return ok(parse(text, { maxAliasCount: 100 }))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return refuse('invalid_request', `${name}: there is no such file.`)
    return refuse('invalid_request', `${name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The policies and tests of a file, checked as the API would check them. */
export async function readPolicies(invocation: Pick<Invocation, 'terminal'>, name: string): Promise<Result<PolicyFile>> {
  const document = await readDocument(invocation, name)
  if (!document.ok) return document
  const { readPolicyFile } = await import('../core/policy/policy-file.ts')
  const read = readPolicyFile(document.value)
  return read.ok ? read : { ...read, message: `${name}: ${read.message}` }
}

/** Null where there is no such file. */
export async function existingText(path: string): Promise<Result<string | null>> {
  try {
    return ok(await readFile(path, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ok(null)
    return refuse('invalid_request', `${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** All of the text or none of it: an interrupted export leaves the old file. */
export async function replaceFile(path: string, text: string): Promise<Result<void>> {
  const draft = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  try {
    await writeFile(draft, text, { flag: 'wx' })
    await rename(draft, path)
    return ok(undefined)
  } catch (error) {
    await rm(draft, { force: true })
    return refuse('invalid_request', `${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
