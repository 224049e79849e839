import type { Finding } from '../anomaly/finding.ts'
import { differenceOf } from './difference.ts'
import type { ToolChange } from './known-tool.ts'

const NAME_CHARS_MAX = 200
const PLACES_MAX = 5

/** A changed tool as an anomaly, with where its two definitions differ. */
export function changeFinding({ name, before, after }: ToolChange, swallowed: number): Finding {
  const difference = differenceOf(before.definition, after.definition)
  const places = difference.slice(0, PLACES_MAX).map(({ path }) => path).join(', ')
  const shownName = name.length <= NAME_CHARS_MAX ? name : `${name.slice(0, NAME_CHARS_MAX)}…`
  return {
    anomalyType: 'tool_changed',
    toolName: name,
    reason: `The definition of tool "${shownName}" changed${places === '' ? '' : ` in ${places}`}.`,
    swallowed,
    details: { before: { fingerprint: before.fingerprint }, after: { fingerprint: after.fingerprint }, difference },
  }
}
