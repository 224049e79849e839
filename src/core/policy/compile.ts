import type { Policy } from './schema.ts'

/** Policies of one organization, ready to decide. Opaque: made by `compilePolicies`, read by `decide`. */
export interface CompiledPolicies {
  readonly policies: readonly Policy[]
}

export function compilePolicies(policies: readonly Policy[]): CompiledPolicies {
  return { policies }
}
