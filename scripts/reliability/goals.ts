import { R14 } from './at-most-once.ts'
import { R1, R17 } from './crash.ts'
import { R3 } from './disk-full.ts'
import { R12 } from './fuzz.ts'
import type { Goal } from './goal.ts'
import { R10, R4, R8, R9 } from './load-goals.ts'

export const GOALS: readonly Goal[] = [R1, R3, R4, R8, R9, R10, R12, R14, R17]
