import type { BrowserContext, Page } from 'playwright-core'

/** A page that links lead to: its address, and where a link to it was found. */
export interface Found {
  path: string
  from: string
}

/** What a page looks like with the ids taken out: one event of the record stands for all. */
export function kindOfPath(path: string): string {
  const url = new URL(path, 'http://localhost')
  const place = url.pathname.split('/').map((part) => (/^(?:[a-z]{2,5}_[0-9A-Za-z]+|\d+|everything|guard)$/.test(part) ? ':id' : part)).join('/')
  const names = [...new Set(url.searchParams.keys())].sort()
  return names.length === 0 ? place : `${place}?${names.join('&')}`
}

const PAGES_MAX = 120
/** Not pages: files to take along, the description of the API, and the way out. */
const LEFT_OUT = /^\/(?:api\/|assets\/|logout|feed|readyz|healthz|metrics)/

/**
 * Follows the links of each page, breadth first, one page of each kind, and shows each to `look`. So a page that is added is looked at without
 * being named in a test.
 */
export async function walkPages(context: BrowserContext, starts: string[], look: (page: Page, path: string, status: number, from: string) => Promise<void>): Promise<string[]> {
  const page = await context.newPage()
  const waiting: Found[] = starts.map((path) => ({ path, from: 'the start' }))
  const seen = new Set<string>()
  const walked: string[] = []
  while (waiting.length > 0 && walked.length < PAGES_MAX) {
    const next = waiting.shift()
    if (next === undefined || seen.has(kindOfPath(next.path))) continue
    seen.add(kindOfPath(next.path))
    const answer = await page.goto(next.path)
    walked.push(next.path)
    await look(page, next.path, answer?.status() ?? 0, next.from)
    for (const link of await linksOf(page)) if (!LEFT_OUT.test(link)) waiting.push({ path: link, from: next.path })
  }
  await page.close()
  return walked
}

/** Links to this server, without what comes after `#`. */
async function linksOf(page: Page): Promise<string[]> {
  const hrefs = await page.locator('a[href]').evaluateAll((links) => links.map((link) => link.getAttribute('href') ?? ''))
  const origin = new URL(page.url()).origin
  return hrefs.flatMap((href) => {
    const url = new URL(href, page.url())
    return url.origin === origin ? [`${url.pathname}${url.search}`] : []
  })
}
