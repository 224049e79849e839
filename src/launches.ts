import type { ConnectionStore, Vault } from './core/ports.ts'
import type { OrganizationId } from './core/ids.ts'
import type { Launch } from './upstream/stdio/program.ts'

/** What the programs of stdio connections are started with: read when one is started, so that it is never older than the connection. */
export function launchFinder(connections: Pick<ConnectionStore, 'findBySlug'>, vault: Pick<Vault, 'open'>): (address: { organizationId: string; slug: string }) => Promise<Launch | null> {
  return async ({ organizationId, slug }) => {
    const connection = await connections.findBySlug(organizationId as OrganizationId, slug)
    if (connection === null || connection.program === null || !connection.enabled) return null
    const { command, args, cwd, mode } = connection.program
    const env = connection.sealedCredential === null ? {} : (JSON.parse(vault.open(connection.sealedCredential, connection.id)) as Record<string, string>)
    return { connectionId: connection.id, slug, command, args, cwd, mode, env }
  }
}
