import { z } from 'zod'

export const Role = z.enum(['owner', 'admin', 'developer', 'ciso', 'auditor'])
export type Role = z.infer<typeof Role>

/** Everything a person may be allowed to do; the row of the role table says who may. `own` means: only on connections (keys) that they created. */
export type Permission =
  | 'governance.read' // connections, policies, sessions: view
  | 'governance.write' // create, change, delete
  | 'kill-switch' // suspend and resume
  | 'keys.read'
  | 'keys.write'
  | 'members.read'
  | 'members.write'
  | 'owners.write' // owners, and the organization itself
  | 'audit.read'
  | 'audit.export'

export type Reach = 'all' | 'own' | 'none'

const TABLE: Record<Role, Partial<Record<Permission, Reach>>> = {
  owner: {
    'governance.read': 'all', 'governance.write': 'all', 'kill-switch': 'all', 'keys.read': 'all', 'keys.write': 'all',
    'members.read': 'all', 'members.write': 'all', 'owners.write': 'all', 'audit.read': 'all', 'audit.export': 'all',
  },
  admin: {
    'governance.read': 'all', 'governance.write': 'all', 'kill-switch': 'all', 'keys.read': 'all', 'keys.write': 'all',
    'members.read': 'all', 'members.write': 'all', 'audit.read': 'all', 'audit.export': 'all',
  },
  developer: {
    'governance.read': 'own', 'governance.write': 'own', 'kill-switch': 'own', 'keys.read': 'own', 'keys.write': 'own', 'audit.read': 'own',
  },
  ciso: {
    'governance.read': 'all', 'kill-switch': 'all', 'keys.read': 'all', 'members.read': 'all', 'audit.read': 'all', 'audit.export': 'all',
  },
  auditor: { 'governance.read': 'all', 'audit.read': 'all', 'audit.export': 'all' },
}

/** How far a role reaches for a permission. Anything not in the table is `none`. */
export function reach(role: Role, permission: Permission): Reach {
  return TABLE[role][permission] ?? 'none'
}
