const HEAD_END = Buffer.from('\r\n\r\n')
const CHUNKS_END = Buffer.from('0\r\n\r\n')

/** The status of one whole HTTP answer, or null while it is incomplete. For answers of servers that are known, with nothing behind them. */
export function readAnswer(bytes: Buffer): number | null {
  const end = bytes.indexOf(HEAD_END)
  if (end === -1) return null
  const head = bytes.toString('latin1', 0, end)
  const status = Number(head.slice(9, 12))
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length !== undefined) return bytes.length >= end + 4 + Number(length) ? status : null
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return bytes.subarray(end + 4).subarray(-CHUNKS_END.length).equals(CHUNKS_END) ? status : null
  return status === 202 || status === 204 ? status : null
}
