import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../../scripts/build.ts'
import { startIgris } from '../binary.ts'
import type { IssuedKey, RunningIgris } from '../binary.ts'
import type { MatrixClientKind } from './clients.ts'
import { MATRIX_CLIENTS } from './clients.ts'
import { programsAtHand } from './installed.ts'
import { fillCell, renderMatrix, revisionOf } from './matrix.ts'
import type { Cell } from './matrix.ts'
import { askDirectly, MEMORY, startUpstreams, UPSTREAM_SLUGS } from './upstreams.ts'
import type { DirectAnswers, MatrixUpstream, Upstreams } from './upstreams.ts'

/* Every client before every server, through the compiled executable, against what the same server says to whom nothing stands between. */

const SENTENCE = 'this stays as it is'
/** How many clients run at once. */
const LANES = 4

// Installing them takes a while the first time, and a network.
const programs = await programsAtHand()
let igris: RunningIgris
let upstreams: Upstreams
let key: IssuedKey
const direct = new Map<string, Promise<DirectAnswers>>()
const cells = new Map<string, PromiseWithResolvers<Cell>>()
const filled = new Map<string, Cell>()
let lanes: Promise<unknown> = Promise.resolve()

const cellName = (client: MatrixClientKind, slug: string) => `${client.name} ${slug}`
const directName = (client: MatrixClientKind, slug: string) => `${Object.keys(client.offers).join(' ')} ${slug}`

beforeAll(async () => {
  if (programs === null) return
  igris = await startIgris(undefined, ['--allow-stdio'])
  upstreams = await startUpstreams(programs, igris.folder)
  for (const { slug, place } of upstreams.all) {
    await igris.api('POST', '/connections', place.transport === 'stdio' ? { slug, ...place } : { slug, upstreamUrl: place.url })
  }
  const denied = [...new Set(upstreams.all.map(({ probe }) => probe.denied.name))]
  await igris.cli(['policy', 'apply', '-'], JSON.stringify({ name: 'guard', connection: null, rules: [...denied.map((tool) => ({ tool, action: 'deny', reason: SENTENCE })), { tool: '*', action: 'allow' }] }))
  key = await igris.issueKey('matrix')
  const work = MATRIX_CLIENTS.flatMap((client) => upstreams.all.map((upstream) => ({ client, upstream })))
  for (const { client, upstream } of work) {
    cells.set(cellName(client, upstream.slug), Promise.withResolvers())
  }
  lanes = Promise.all(Array.from({ length: LANES }, async () => {
    for (let next = work.shift(); next !== undefined; next = work.shift()) await fill(next.client, next.upstream, programs)
  }))
}, 180_000)
afterAll(async () => {
  await lanes
  await upstreams?.stop()
  await igris?.stop()
}, 60_000)

async function fill(client: MatrixClientKind, upstream: MatrixUpstream, programs: string): Promise<void> {
  const name = directName(client, upstream.slug)
  if (!direct.has(name)) direct.set(name, askDirectly(upstream, client.offers, igris.folder))
  const cell = cells.get(cellName(client, upstream.slug))
  try {
    await direct.get(name)
    const seen = await fillCell(igris, { key: key.key, programs }, client, upstream)
    filled.set(cellName(client, upstream.slug), seen)
    cell?.resolve(seen)
  } catch (error) {
    // The test of this cell says so.
    cell?.promise.catch(() => {})
    cell?.reject(error)
  }
}

describe.skipIf(programs === null).each(MATRIX_CLIENTS)('$title', (client) => {
  test.each(UPSTREAM_SLUGS)('before %s: the same tools, the same answer, the reason of a denial, and all of it on record', async (slug) => {
    const cell = await cells.get(cellName(client, slug))?.promise
    const same = await direct.get(directName(client, slug))
    const probe = upstreams.all.find((upstream) => upstream.slug === slug)?.probe
    if (cell === undefined || same === undefined || probe === undefined) throw new Error('the cell is empty')
    expect(cell.tools).toEqual(same.tools)
    expect(cell.tools.length).toBeGreaterThan(5)
    expect(cell.answer).toEqual({ content: same.content, isError: false })
    expect(cell.denial.shown).toContain(SENTENCE)
    expect(revisionOf(cell.rows)).toBe(client.revision)
    const listed = cell.rows.filter(({ method }) => method === 'tools/list')
    expect(listed.length).toBeGreaterThan(0)
    const calls = cell.rows.filter(({ type }) => type === 'tool_call')
    expect(calls.map(({ toolName, status }) => ({ toolName, status }))).toEqual([{ toolName: probe.call.name, status: 'ok' }, { toolName: probe.denied.name, status: 'denied' }])
    for (const row of cell.rows) expect(row).toMatchObject({ connection: slug, principal: { id: key.id } })
    expect(cell.rows.filter(({ status }) => !['ok', 'in_flight', 'denied', 'aborted'].includes(status))).toEqual([])
  }, 180_000)
})

test.skipIf(programs === null)('nothing that was denied was done', () => {
  expect(existsSync(upstreams.forbidden)).toBe(false)
  expect(readFileSync(upstreams.memoryFile, 'utf8')).toBe(MEMORY)
})

test.skipIf(programs === null)('the matrix in the documents is what was seen', async () => {
  await lanes
  const seen = renderMatrix(upstreams.all, (client, { slug }) => {
    const cell = filled.get(cellName(client, slug))
    if (cell === undefined) throw new Error(`nothing was seen of ${client.name} before ${slug}`)
    return cell
  })
  const section = readFileSync(join(ROOT, 'docs', 'compatibility.md'), 'utf8').split(/^## /m).find((text) => text.startsWith('Matrix\n')) ?? ''
  expect(section.split('\n').filter((line) => line.startsWith('|'))).toEqual(seen)
})
