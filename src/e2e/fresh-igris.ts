import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { igrisBinary } from './binary.ts'
import { freshEnvironment, startProgram } from './program.ts'

/** The executable on an empty data folder, as its operator starts it the first time. */
export interface FreshIgris {
  url: string
  folder: string
  /** What its first start prints. */
  setupUrl: string
  stop(): Promise<void>
}

export async function startFreshIgris(flags: string[] = []): Promise<FreshIgris> {
  const binary = await igrisBinary()
  const folder = mkdtempSync(join(tmpdir(), 'igris-fresh-'))
  const program = startProgram([binary, 'serve', '--json', '--port', '0', '--data', join(folder, 'data'), ...flags], { cwd: folder, env: freshEnvironment(folder) })
  const [, line = ''] = await program.line(/^(\{"data":.*\})$/m)
  const { url, setupUrl } = (JSON.parse(line) as { data: { url: string; setupUrl: string } }).data
  return {
    url, folder, setupUrl,
    async stop() {
      await program.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
