// Writes views/licences.ts: what the executable is made of, and under which terms. `bun scripts/licences.ts`; a test fails where it is out of date.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Licence } from '../views/licences.ts'

const ROOT = join(import.meta.dir, '..')
export const LIST = join(ROOT, 'views', 'licences.ts')

interface LockedPackage {
  version?: string
  license?: string
  dev?: boolean
  optional?: boolean
}

/** Every package that is not for development alone, whether or not the bundler found use for all of it. */
export function licencesOf(lock: { packages: Record<string, LockedPackage> }): Licence[] {
  const found = new Map<string, Licence>()
  for (const [path, { version, license, dev, optional }] of Object.entries(lock.packages)) {
    // The runtime comes as one package for each platform, beside the one that names them.
    if (path === '' || dev === true || optional === true || version === undefined) continue
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    found.set(`${name} ${version}`, { name, version, licence: license ?? 'see the package' })
  }
  return [...found.values()].sort((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : left.version < right.version ? -1 : 1))
}

/** As a source file. */
export function licenceSource(licences: Licence[]): string {
  const rows = licences.map(({ name, version, licence }) => `  { name: ${quoted(name)}, version: ${quoted(version)}, licence: ${quoted(licence)} },`)
  return [
    '/** A package in the executable. The list is written by `bun scripts/licences.ts` out of the lock file. */', 'export interface Licence {', '  name: string', '  version: string', '  licence: string', '}', '',
    'export const LICENCES: readonly Licence[] = [', ...rows, ']', '',
  ].join('\n')
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}

export function lockedLicences(): Licence[] {
  return licencesOf(JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')))
}

if (import.meta.main) writeFileSync(LIST, licenceSource(lockedLicences()))
