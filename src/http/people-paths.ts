/** Apart from the pages themselves, which are loaded when first asked for. */
export function isPeoplePath(path: string): boolean {
  return path === '/login' || path === '/login/code' || path === '/login/oidc' || path === '/login/oidc/callback' || path === '/logout' || path === '/invite' || path === '/account' || path.startsWith('/account/')
}
