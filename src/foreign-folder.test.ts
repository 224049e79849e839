import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const VIEWS = join(import.meta.dir, '..', 'views')
const files = readdirSync(VIEWS, { recursive: true }).map(String).filter((name) => name.endsWith('.tsx'))

// The runtime takes the settings for JSX from the folder that it is started in, so each file brings its own.
test.each(files)('%s loads when the program is started in a foreign folder', (name) => {
  expect(readFileSync(join(VIEWS, name), 'utf8')).toStartWith('/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */\n')
  const folder = mkdtempSync(join(tmpdir(), 'igris-foreign-'))
  try {
    const run = Bun.spawnSync([process.execPath, '-e', `await import(${JSON.stringify(join(VIEWS, name))})`], { cwd: folder, stdout: 'pipe', stderr: 'pipe' })
    expect({ exitCode: run.exitCode, stderr: run.stderr.toString() }).toEqual({ exitCode: 0, stderr: '' })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
