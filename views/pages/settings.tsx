/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html, type PropsWithChildren } from '@elysiajs/html'
import { reach, type Permission, type Role } from '../../src/core/role.ts'
import type { Asset } from '../assets/assets.ts'
import { Shell, type Viewer } from '../shell.tsx'

/** Who looks, with what decides which of the pages they see. The operations behind them check it again. */
export interface SettingsViewer extends Viewer {
  role: Role
}

interface Tab {
  href: string
  label: string
  /** Without it everybody sees the page. */
  needs?: Permission
  /** True where the organization as a whole is meant, so that `own` is not enough. */
  isForAll?: boolean
}

const TABS: readonly Tab[] = [
  { href: '/settings/keys', label: 'Keys', needs: 'keys.read' },
  { href: '/settings/members', label: 'Members', needs: 'members.read', isForAll: true },
  { href: '/settings/organization', label: 'Organization' },
  { href: '/settings/sign-on', label: 'Sign-on', needs: 'members.read', isForAll: true },
  { href: '/settings/retention', label: 'Retention' },
  { href: '/settings/about', label: 'About' },
]

export type SettingsTab = 'Keys' | 'Members' | 'Organization' | 'Sign-on' | 'Retention' | 'About'

export function tabsFor(role: Role): readonly Tab[] {
  return TABS.filter(({ needs, isForAll }) => needs === undefined || (isForAll === true ? reach(role, needs) === 'all' : reach(role, needs) !== 'none'))
}

type SettingsShellProps = PropsWithChildren<{
  title: string
  tab: SettingsTab
  viewer: SettingsViewer
  notice?: string | null
  alert?: string | null
  scripts?: readonly Asset[]
}>

/** A page of the settings: the name of the part in the title, its neighbours above. */
export function SettingsShell({ title, tab, viewer, notice = null, alert = null, scripts = [], children }: SettingsShellProps) {
  return (
    <Shell title={`${title} · Settings`} section="Settings" viewer={viewer} notice={notice} alert={alert} scripts={scripts}>
      <nav class="tabs" aria-label="Settings">
        {tabsFor(viewer.role).map(({ href, label }) => <a href={href} aria-current={label === tab ? 'page' : undefined} safe>{label}</a>)}
      </nav>
      {children}
    </Shell>
  )
}

/** Title, what the page is about, and its one main button. */
export function SettingsHead({ title, about, href, button }: { title: string; about: string; href?: string; button?: string }) {
  return (
    <div class="head">
      <div><h1 safe>{title}</h1><p class="muted" safe>{about}</p></div>
      {href === undefined || button === undefined ? '' : <a class="button strong" href={href} safe>{button}</a>}
    </div>
  )
}
