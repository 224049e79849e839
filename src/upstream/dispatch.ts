import { UpstreamFailure, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from '../core/ports.ts'

/** Sends each request by the way that its address names: the gateway sees Streamable HTTP whatever the upstream speaks. */
export function dispatchUpstreams(ways: { http: Upstreams; stdio: Upstreams | null }): Upstreams {
  return {
    async send(request: UpstreamRequest): Promise<UpstreamAnswer> {
      if (!request.url.startsWith('stdio:')) return ways.http.send(request)
      if (ways.stdio === null) throw new UpstreamFailure('unreachable', 'this Igris was started without --allow-stdio', false)
      return ways.stdio.send(request)
    },
  }
}
