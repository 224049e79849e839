/** The tools that the public contract calls destructive: `delete_* drop_* truncate_* destroy_* purge_*`. */
const DESTRUCTIVE = /^(?:delete|drop|truncate|destroy|purge)_/i

/**
 * Whether a tool's name is one of the five patterns, in any case: an upstream may name its tools `Delete_user`, and one finding too many is the
 * cheaper mistake. Other separators and prefixes (`deleteUser`, `github.delete_repo`) are not destructive by name; policies can alert on them.
 */
export function isDestructive(toolName: string): boolean {
  return DESTRUCTIVE.test(toolName)
}
