import { reach, type Role } from '../../core/role.ts'

/** Whether pages offer to change policies. The operations decide themselves whether somebody may. */
export function mayWrite(role: Role): boolean {
  return reach(role, 'governance.write') !== 'none'
}

/** What a role keeps a person from, in a sentence; null where nothing. */
export function remarkOn(role: Role): string | null {
  switch (reach(role, 'governance.write')) {
    case 'all': return null
    case 'own': return 'You see and change the policies of your own connections. Policies for every connection are asked before them; owners and admins keep those.'
    case 'none': return `The role ${role} looks at policies and tries calls against them. Owners and admins change them, and developers those of their own connections.`
  }
}
