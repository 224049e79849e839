/** Opaque place in a list: the row to go on from, bound to its list so that a changed or borrowed cursor is noticed. */
export function writeCursor(list: string, rowId: number): string {
  const place = rowId.toString(36)
  return Buffer.from(`${place}.${check(list, place)}`).toString('base64url')
}

/** Null for anything that `writeCursor` did not write for this list. */
export function readCursor(list: string, cursor: string): number | null {
  if (cursor.length > 64) return null
  const text = Buffer.from(cursor, 'base64url').toString('latin1')
  const [place, mark, ...rest] = text.split('.')
  if (place === undefined || mark === undefined || rest.length > 0 || !/^[0-9a-z]{1,11}$/.test(place) || mark !== check(list, place)) return null
  const rowId = Number.parseInt(place, 36)
  // Decoding is lenient about stray characters; only the spelling that we would write ourselves counts.
  return Number.isSafeInteger(rowId) && writeCursor(list, rowId) === cursor ? rowId : null
}

function check(list: string, place: string): string {
  return new Bun.CryptoHasher('sha256').update(`igris cursor\n${list}\n${place}`).digest('hex').slice(0, 12)
}
