import type { CelFacts, FactView } from './fact-path.ts'
import { Fault } from './fault.ts'

const DEPTH_MAX = 100
const NODES_MAX = 500_000

/**
 * The facts of a call as CEL variables. Objects become Maps all the way down: the CEL library takes a plain object with a `$typeName`
 * for a protobuf message, and the caller chooses the keys. JSON numbers are doubles; our own counts and times are ints.
 */
export function toCelFacts(view: FactView): CelFacts | Fault {
  const { facts } = view
  const size = { nodes: 0, chars: 0 }
  const metadata = toCelValue(facts.metadata, size, 0)
  const args = toCelValue(facts.args ?? {}, size, 0)
  if (metadata instanceof Fault) return metadata
  if (args instanceof Fault) return args
  if (!Number.isSafeInteger(facts.session.calls)) return new Fault('the count of calls is not a whole number')
  const variables = {
    user: facts.user,
    metadata,
    args,
    tool: facts.target.kind === 'tool' ? facts.target.name : '',
    key: new Map([['id', facts.key.id], ['label', facts.key.label]]),
    session: new Map<string, unknown>([['id', facts.session.id], ['calls', BigInt(facts.session.calls)]]),
    time: new Map([['hour', BigInt(view.hour())], ['weekday', BigInt(view.weekday())]]),
  }
  return { variables, ...size }
}

function toCelValue(value: unknown, size: { nodes: number; chars: number }, depth: number): unknown {
  size.nodes += 1
  if (size.nodes > NODES_MAX || depth > DEPTH_MAX) return new Fault('the arguments are too large or too deep to be judged')
  if (typeof value === 'string') {
    size.chars += value.length
    return value
  }
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return value
  if (Array.isArray(value)) {
    const list: unknown[] = []
    for (const member of value) {
      const converted = toCelValue(member, size, depth + 1)
      if (converted instanceof Fault) return converted
      list.push(converted)
    }
    return list
  }
  if (typeof value !== 'object') return new Fault('the arguments hold something that is not JSON')
  const map = new Map<string, unknown>()
  for (const [key, member] of Object.entries(value)) {
    size.chars += key.length
    const converted = toCelValue(member, size, depth + 1)
    if (converted instanceof Fault) return converted
    map.set(key, converted)
  }
  return map
}
