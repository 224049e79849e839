import type { SignedInPerson, SignInControl } from '../../control/sign-in.ts'
import { readSessionToken } from '../session-cookie.ts'

/** Who looks at a page: the person of the session cookie, and what their forms must carry. Null: not signed in, or not any more. */
export type ResolvePerson = (request: Request) => Promise<SignedInPerson | null>

export function personFromRequest(signIn: Pick<SignInControl, 'resolve'>): ResolvePerson {
  return async (request) => {
    const token = readSessionToken(request.headers)
    return token === null ? null : signIn.resolve(token)
  }
}
