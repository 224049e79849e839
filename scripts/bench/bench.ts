import type { Generator } from './measure.ts'
import type { Running } from './processes.ts'

/** What all rows share. Everything below `folder` goes away with the bench. */
export interface Bench {
  binary: string
  folder: string
  upstream: Running
  generator: Generator
  isQuick: boolean
  auditRows: number
  /** Where the large installation is kept for another run; made there when it is missing. Null: it goes away as well. */
  kept: string | null
}
