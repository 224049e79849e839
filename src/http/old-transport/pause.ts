/** Waits; false where it was cut short. */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(true), ms)
  const cut = () => resolve(false)
  signal.addEventListener('abort', cut)
  return promise.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', cut)
  })
}
