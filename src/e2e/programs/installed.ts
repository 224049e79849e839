import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../../scripts/build.ts'
import { isCi, runProgram } from '../program.ts'

/*
 * Programs that Igris must get on with and that are too heavy for everybody who only wants to build it: package.json here pins them, bun.lock
 * holds the hashes of all that they need. They are installed once for each such list, beside the packages of the repository.
 */

const LIST = ['package.json', 'bun.lock']

/** The folder whose `node_modules` has them. */
async function installedPrograms(): Promise<string> {
  const hash = createHash('sha256')
  for (const name of LIST) hash.update(readFileSync(join(import.meta.dir, name)))
  const place = join(ROOT, 'node_modules', '.cache', `igris-programs-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(place)) return place
  mkdirSync(join(place, '..'), { recursive: true })
  // Installed aside and moved in place, so that nobody meets half of it.
  const aside = mkdtempSync(`${place}-`)
  try {
    for (const name of LIST) copyFileSync(join(import.meta.dir, name), join(aside, name))
    const env = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? aside }
    // No install script of any package is run.
    const { exitCode, said } = await runProgram([process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts', '--no-progress'], { cwd: aside, env })
    if (exitCode !== 0) throw new Error(`the programs could not be installed: ${said}`)
    if (!existsSync(place)) renameSync(aside, place)
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
  return place
}

/** Null where they cannot be had, as without a network: this says so, and in CI it fails. */
export async function programsAtHand(): Promise<string | null> {
  try {
    return await installedPrograms()
  } catch (error) {
    if (isCi) throw error
    console.error(`skipped: ${error instanceof Error ? error.message : String(error)}`)
    return null
  }
}

/** The path of a file of one of them. */
export function programFile(place: string, file: string): string {
  return join(place, 'node_modules', file)
}
