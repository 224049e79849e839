import type { SettingsViewer } from '../../../views/pages/settings.tsx'
import type { z } from 'zod'
import { refuse, type Refusal } from '../../core/result.ts'
import type { Asked } from './shown.ts'
import type { Form } from './page-table.ts'

export function settingsViewer({ me, viewer }: Asked): SettingsViewer {
  return { ...viewer, role: me.actor.role }
}

/** For pages that only lead to a form: the sentence that the operation itself would give. */
export function tooLow({ me }: Asked): Refusal {
  return refuse('forbidden', `The role ${me.actor.role} may not do this.`)
}

/** One sentence for each field that is wrong, by its first name. */
export function faultsOf(error: z.ZodError): Record<string, string> {
  const faults: Record<string, string> = {}
  for (const { path, message } of error.issues) faults[String(path[0] ?? '')] ??= message
  return faults
}

/** The same of a refusal: what has a field goes to it, the rest is said above. */
export function faultsOfRefusal(refusal: { message: string; issues?: readonly { path: string; message: string }[] }): { faults: Record<string, string>; alert: string | null } {
  const issues = refusal.issues ?? []
  const faults = Object.fromEntries(issues.map(({ path, message }) => [path.split('.')[0] ?? '', message]))
  return { faults, alert: issues.length > 0 ? null : refusal.message }
}

/** What was typed, to be shown again. Secrets are left out by their fields. */
export function typedValues(form: Form, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, (form.get(name) ?? '').slice(0, 2000)]))
}

/** The page of a list by number, beginning with 1. */
export function pageOf<T>(items: T[], asked: string | null, size: number): { shown: T[]; page: number; hasBefore: boolean; hasAfter: boolean } {
  const number = Number(asked)
  const last = Math.max(1, Math.ceil(items.length / size))
  const page = Number.isInteger(number) && number >= 1 ? Math.min(number, last) : 1
  return { shown: items.slice((page - 1) * size, page * size), page, hasBefore: page > 1, hasAfter: page < last }
}
