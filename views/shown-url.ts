/** An address for people's eyes: what stands behind the question mark may be a secret. */
export function shownUrl(url: string): string {
  const mark = url.search(/[?#]/)
  return mark === -1 ? url : `${url.slice(0, mark)}?…`
}
