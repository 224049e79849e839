import { AboutPage, RetentionPage } from '../../../views/pages/settings-about.tsx'
import { tabsFor } from '../../../views/pages/settings.tsx'
import { reach } from '../../core/role.ts'
import type { PageTable } from './page-table.ts'
import { seeOther } from './page.ts'
import { KEY_PAGES } from './settings-keys-page.ts'
import { MEMBER_PAGES } from './settings-members-page.ts'
import { ORGANIZATION_PAGES } from './settings-organization-page.ts'
import { SIGN_ON_PAGES } from './settings-sign-on-page.ts'
import { settingsViewer } from './settings-viewer.ts'
import { shown, type Asked } from './shown.ts'

const OWN: PageTable = {
  shown: [[/^\/settings$/, toFirst], [/^\/settings\/about$/, showAbout], [/^\/settings\/retention$/, showRetention]],
  done: [],
}
const PARTS = [OWN, KEY_PAGES, MEMBER_PAGES, ORGANIZATION_PAGES, SIGN_ON_PAGES]

export const SETTINGS_PAGES: PageTable = { shown: PARTS.flatMap(({ shown: pages }) => pages), done: PARTS.flatMap(({ done }) => done) }

/** The first page that this role may see. */
async function toFirst(asked: Asked): Promise<Response> {
  return seeOther(asked.page, tabsFor(asked.me.actor.role)[0]?.href ?? '/settings/about')
}

async function showAbout(asked: Asked): Promise<Response> {
  return shown(asked, await AboutPage({ viewer: settingsViewer(asked), installation: await asked.control.installation.facts(asked.me.actor) }))
}

async function showRetention(asked: Asked): Promise<Response> {
  const { me, control } = asked
  const mayExport = reach(me.actor.role, 'audit.export') === 'all'
  return shown(asked, await RetentionPage({ viewer: settingsViewer(asked), installation: await control.installation.facts(me.actor), mayExport }))
}
