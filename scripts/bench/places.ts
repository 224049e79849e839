import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { pointAt, seedFolder } from './seed.ts'

export interface Place {
  folder: string
  keys: string[]
}

export async function seeded(bench: Bench, name: string, size: { policies: number; keys: number; rows: number }): Promise<Place> {
  const folder = join(bench.folder, name)
  mkdirSync(folder, { recursive: true })
  return { folder, keys: await seedFolder({ folder, upstreamPort: bench.upstream.port, ...size }) }
}

const made = new Map<Bench, Promise<Place>>()

/** One installation with much of everything, shared by the rows that only look at it. */
export function largePlace(bench: Bench): Promise<Place> {
  let place = made.get(bench)
  if (place === undefined) {
    place = makeLarge(bench)
    made.set(bench, place)
  }
  return place
}

async function makeLarge(bench: Bench): Promise<Place> {
  const folder = join(bench.kept ?? bench.folder, 'large')
  const facts = join(bench.kept ?? bench.folder, 'large.json')
  const size = { policies: 1000, keys: 1000, rows: bench.auditRows, connections: 500 }
  if (existsSync(facts)) {
    const known = JSON.parse(readFileSync(facts, 'utf8')) as { size: object; keys: string[] }
    if (JSON.stringify(known.size) === JSON.stringify(size)) {
      await pointAt(folder, bench.upstream.port)
      return { folder, keys: known.keys }
    }
  }
  // Of another size, or broken off half-way.
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const keys = await seedFolder({ folder, upstreamPort: bench.upstream.port, ...size })
  writeFileSync(facts, JSON.stringify({ size, keys }))
  return { folder, keys }
}
