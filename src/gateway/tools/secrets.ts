import type { Connection } from '../../core/connection.ts'
import type { Vault } from '../../core/ports.ts'

/** Values as short as `1` are no secrets, and stand in too much else. */
const SECRET_CHARS_MIN = 4

/** The credential of a connection; of a program, the values of its environment. Longest first, so that none hides another's rest. */
export function secretsOf(vault: Vault, { sealedCredential, id, program }: Connection): string[] {
  if (sealedCredential === null) return []
  const credential = vault.open(sealedCredential, id)
  const secrets = program === null ? [credential] : Object.values(JSON.parse(credential) as Record<string, string>)
  return secrets.filter((secret) => secret.length >= SECRET_CHARS_MIN).sort((left, right) => right.length - left.length)
}
