import { z } from 'zod'
import type { Control } from '../../control/control.ts'
import { MemberChange, NewInvitation } from '../../core/member.ts'
import { ok } from '../../core/result.ts'
import { ListQuery, paginate } from './paginate.ts'
import { dataOf, route, type AnyRoute } from './route.ts'
import { MemberView, NewMemberView } from './schemas.ts'

const tag = 'Members'
const one = { kind: 'json', status: 200, schema: MemberView } as const

export function memberRoutes({ members, organization }: Pick<Control, 'members' | 'organization'>, publicUrl: string | undefined): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/members', id: 'listMembers', tag, summary: 'List the people of the organization, and who is invited', permission: 'members.read',
      query: ListQuery, answer: { kind: 'json', status: 200, schema: z.array(MemberView), isPaged: true },
      run: async ({ actor, query }) => {
        const listed = await organization.listMembers(actor)
        return listed.ok ? paginate(listed.value, query, ({ status, email }) => [status, email]) : listed
      },
    }),
    route({
      method: 'POST', path: '/members', id: 'inviteMember', tag, summary: 'Invite somebody', permission: 'members.write',
      description: 'The only answer that holds the link. Pass it on to whoever is invited: Igris sends no mail. Only owners invite owners.',
      body: NewInvitation, answer: { kind: 'json', status: 201, schema: NewMemberView },
      run: async ({ actor, body, request }) => {
        const invited = await members.invite(actor, body)
        if (!invited.ok) return invited
        const { token, ...view } = invited.value
        return ok({ data: { ...view, inviteUrl: inviteUrl(token, request, publicUrl) } })
      },
    }),
    route({
      method: 'PATCH', path: '/members/:id', id: 'updateMember', tag, summary: 'Change the role or name of a member, or the role of an invitation', permission: 'members.write',
      description: 'In effect with the next request. Only owners change owners; the last owner stays one.', body: MemberChange, answer: one,
      run: ({ actor, params, body }) => dataOf(members.change(actor, params.id ?? '', body)),
    }),
    route({
      method: 'DELETE', path: '/members/:id', id: 'removeMember', tag, summary: 'Remove a member, or withdraw an invitation', permission: 'members.write',
      description: 'Sessions end and keys that they made stop working at once. Answers who it was.', answer: one,
      run: ({ actor, params }) => dataOf(members.remove(actor, params.id ?? '')),
    }),
  ]
}

/** The link to pass on: where people reach Igris, else wherever this request came to. */
export function inviteUrl(token: string, request: Request, publicUrl: string | undefined): string {
  const host = request.headers.get('host')
  const base = publicUrl ?? (host === null ? new URL(request.url).origin : `http://${host}`)
  return `${base.replace(/\/$/, '')}/invite?token=${token}`
}
