const UTF8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The runtime hands header bytes over one character each; people's names come as UTF-8. Bytes that are not UTF-8 stay as they are and
 * are then refused or shown for what they are.
 */
export function headerText(value: string | null): string | null {
  if (value === null || /^[\x00-\x7f]*$/.test(value)) return value
  try {
    return UTF8.decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}
