import { ASSETS } from '../../../views/assets/assets.ts'

const HEADERS = { 'cache-control': 'public, max-age=31536000, immutable', 'x-content-type-options': 'nosniff', 'vary': 'accept-encoding' }

interface Packed {
  type: string
  plain: Uint8Array<ArrayBuffer>
  gzip: Uint8Array<ArrayBuffer>
}

const byPath = new Map<string, Packed>()

/** A stylesheet, script or picture of the pages; null for a name that this version does not have. Public: nothing in it is anybody's. */
export function serveAsset(request: Request, path: string): Response | null {
  const packed = packedAsset(path)
  if (packed === null || request.method !== 'GET') return null
  const isGzip = /\bgzip\b/.test(request.headers.get('accept-encoding') ?? '')
  return new Response(isGzip ? packed.gzip : packed.plain, { headers: { ...HEADERS, 'content-type': packed.type, ...(isGzip ? { 'content-encoding': 'gzip' } : {}) } })
}

function packedAsset(path: string): Packed | null {
  const known = byPath.get(path)
  if (known !== undefined) return known
  const asset = ASSETS.find((candidate) => candidate.path === path)
  if (asset === undefined) return null
  const plain = new TextEncoder().encode(asset.text)
  const packed = { type: asset.type, plain, gzip: Bun.gzipSync(plain, { level: 9 }) }
  byPath.set(path, packed)
  return packed
}
