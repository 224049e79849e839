import { globShape } from './glob.ts'

/** Anything that is found by the glob it stands under, in the order of `sequence`. */
export interface Indexed {
  sequence: number
  pattern: string
}

/**
 * Finds the rules whose glob may match a name without looking at the others: by the whole name, by each literal beginning that is in
 * use, and by each literal ending. Only globs that are open at both ends are always candidates.
 */
export class RuleIndex<Entry extends Indexed> {
  readonly #exact = new Map<string, Entry[]>()
  readonly #byPrefix = new AffixTable<Entry>((name, length) => name.slice(0, length))
  readonly #bySuffix = new AffixTable<Entry>((name, length) => name.slice(name.length - length))
  readonly #open: Entry[] = []
  size = 0

  /** Entries come in order of `sequence`. */
  add(entry: Entry): void {
    this.size += 1
    const shape = globShape(entry.pattern)
    if (shape.isExact) append(this.#exact, shape.prefix, entry)
    else if (shape.prefix !== '') this.#byPrefix.add(shape.prefix, entry)
    else if (shape.suffix !== '') this.#bySuffix.add(shape.suffix, entry)
    else this.#open.push(entry)
  }

  /** Adds the lists that together hold every entry that may match, each in order. */
  collect(name: string, lists: Entry[][]): void {
    const exact = this.#exact.get(name)
    if (exact !== undefined) lists.push(exact)
    this.#byPrefix.collect(name, lists)
    this.#bySuffix.collect(name, lists)
    if (this.#open.length > 0) lists.push(this.#open)
  }
}

/** One hash table for each length of affix in use: a look-up costs one probe for each such length, however many entries there are. */
class AffixTable<Entry> {
  readonly #tables = new Map<number, Map<string, Entry[]>>()
  readonly #cut: (name: string, length: number) => string

  constructor(cut: (name: string, length: number) => string) {
    this.#cut = cut
  }

  add(affix: string, entry: Entry): void {
    let table = this.#tables.get(affix.length)
    if (table === undefined) {
      table = new Map()
      this.#tables.set(affix.length, table)
    }
    append(table, affix, entry)
  }

  collect(name: string, lists: Entry[][]): void {
    for (const [length, table] of this.#tables) {
      if (length > name.length) continue
      const list = table.get(this.#cut(name, length))
      if (list !== undefined) lists.push(list)
    }
  }
}

function append<Entry>(table: Map<string, Entry[]>, key: string, entry: Entry): void {
  const list = table.get(key)
  if (list === undefined) table.set(key, [entry])
  else list.push(entry)
}

/** Walks several ordered lists as one, in order of `sequence`, as far as it is asked to. */
export function* inOrder<Entry extends Indexed>(lists: readonly Entry[][]): Generator<Entry> {
  const [only] = lists
  if (lists.length === 1 && only !== undefined) {
    yield* only
    return
  }
  const heads = lists.map(() => 0)
  for (;;) {
    let next: Entry | undefined
    let from = -1
    for (let at = 0; at < lists.length; at += 1) {
      const candidate = lists[at]?.[heads[at] ?? 0]
      if (candidate !== undefined && (next === undefined || candidate.sequence < next.sequence)) {
        next = candidate
        from = at
      }
    }
    if (next === undefined) return
    heads[from] = (heads[from] ?? 0) + 1
    yield next
  }
}
