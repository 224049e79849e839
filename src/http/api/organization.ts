import type { Control } from '../../control/control.ts'
import { OrganizationDeletion } from '../../core/member.ts'
import { OrganizationChange, SuspendRequest } from '../../core/organization.ts'
import { dataOf, route, type AnyRoute } from './route.ts'
import { OrganizationView, ResumeRequest } from './schemas.ts'

const tag = 'Organization'
const one = { kind: 'json', status: 200, schema: OrganizationView } as const

export function organizationRoutes({ organization, killSwitch }: Pick<Control, 'organization' | 'killSwitch'>): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/organization', id: 'getOrganization', tag, summary: 'Show the organization', permission: null, answer: one,
      run: ({ actor }) => dataOf(organization.get(actor)),
    }),
    route({
      method: 'PATCH', path: '/organization', id: 'updateOrganization', tag, summary: 'Rename the organization', permission: 'owners.write',
      body: OrganizationChange, answer: one,
      run: ({ actor, body }) => dataOf(organization.rename(actor, body.name)),
    }),
    route({
      method: 'POST', path: '/organization/suspend', id: 'suspendOrganization', tag, summary: 'Suspend every call of the organization', permission: 'kill-switch',
      description: 'The API itself goes on working, so that the organization can be resumed.', body: SuspendRequest, answer: one,
      run: ({ actor, body }) => dataOf(killSwitch.suspendOrganization(actor, body.reason)),
    }),
    route({
      method: 'POST', path: '/organization/resume', id: 'resumeOrganization', tag, summary: 'Resume the organization', permission: 'kill-switch',
      body: ResumeRequest, isBodyOptional: true, answer: one,
      run: ({ actor, body }) => dataOf(killSwitch.resumeOrganization(actor, body.reason ?? null)),
    }),
    route({
      method: 'DELETE', path: '/organization', id: 'deleteOrganization', tag, summary: 'Delete the organization', permission: 'owners.write',
      description: 'Everything but its record, at once and for good. The body repeats its name.', body: OrganizationDeletion, answer: one,
      run: ({ actor, body }) => dataOf(organization.delete(actor, body.name)),
    }),
  ]
}
