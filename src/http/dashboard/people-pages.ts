import type { Control } from '../../control/control.ts'
import type { PeopleHandler } from '../router.ts'
import { showAccount, submitAccount } from './account-page.ts'
import { beginSignOn, endSignOn } from './oidc-page.ts'
import type { PageRequest } from './page.ts'
import { personFromRequest } from './person-from-request.ts'
import { showInvitation, showSignIn, submitCode, submitInvitation, submitSignIn } from './sign-in-page.ts'

export interface PeoplePagesDeps {
  control: Pick<Control, 'signIn' | 'account' | 'invitations' | 'oidc' | 'signOn' | 'setup'>
  clock: { now(): number }
  publicUrl: string | undefined
  nextRequestId(): string
}

/** The pages of signing in and of the own account. `ip` is the address of the socket: headers that claim another one are not believed. */
export function peoplePages(deps: PeoplePagesDeps): PeopleHandler {
  const all = { ...deps, resolvePerson: personFromRequest(deps.control.signIn) }
  return {
    async handle(request, path, ip) {
      const page: PageRequest = { request, path, origin: { ip, userAgent: request.headers.get('user-agent'), requestId: deps.nextRequestId() } }
      switch (`${request.method} ${path}`) {
        case 'GET /login':
          return showSignIn(all, page)
        case 'POST /login':
          return submitSignIn(all, page)
        case 'POST /login/code':
          return submitCode(all, page)
        case 'GET /login/oidc':
          return beginSignOn(all, page)
        case 'GET /login/oidc/callback':
          return endSignOn(all, page)
        case 'GET /invite':
          return showInvitation(all, page)
        case 'POST /invite':
          return submitInvitation(all, page)
        case 'GET /account':
          return showAccount(all, page)
        default:
          return request.method === 'POST' ? submitAccount(all, page) : null
      }
    },
  }
}
