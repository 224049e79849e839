import type { Asked } from './shown.ts'

export type Form = Map<string, string>

/** A page to look at. `name` is what the pattern's group matched, decoded; empty where it has none. */
export type ShownPage = [pattern: RegExp, show: (asked: Asked, name: string) => Promise<Response>]

/** A form that changes something. `bytesMax`: where it may be larger than usual. */
export type DoneForm = [pattern: RegExp, act: (asked: Asked, name: string, form: Form) => Promise<Response>, limits?: { bytesMax: number }]

/** What one file of pages answers to. The first pattern that matches decides. */
export interface PageTable {
  shown: ShownPage[]
  done: DoneForm[]
}
