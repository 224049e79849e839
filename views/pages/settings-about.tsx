/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Badge, When } from '../components/facts.tsx'
import { LICENCES } from '../licences.ts'
import { shownText } from '../shown-text.ts'
import { SettingsHead, SettingsShell, type SettingsViewer } from './settings.tsx'

export interface InstallationShown {
  version: string
  runtime: string
  startedAt: string
  isRecordWritable: boolean
  auditSync: string
  auditRetentionDays: number
  storage: { bytes: number; folder: string } | null
}

interface InstallationPageProps {
  viewer: SettingsViewer
  installation: InstallationShown | null
}

export function AboutPage({ viewer, installation }: InstallationPageProps) {
  return (
    <SettingsShell title="About" tab="About" viewer={viewer}>
      <SettingsHead title="About" about="This installation, and what it is made of." />
      <div class="pair">
        <section class="card">
          <h2>Installation</h2>
          {installation === null ? <p class="muted">Nothing is known of it here.</p> : <Facts installation={installation} now={viewer.now} />}
        </section>
        <section class="card">
          <h2>Documents</h2>
          <ul class="plain links">
            <li><a href="/api/v1/docs">The API</a> <span class="muted">every path, with its fields</span></li>
            <li><a href="/api/v1/openapi.json">OpenAPI description</a> <span class="muted">for generators</span></li>
            <li><a href="/readyz">Readiness</a> <span class="muted">what a load balancer asks</span></li>
          </ul>
          <p class="muted small">Guides (configuration, policies, operations, command line) are in the folder <code>docs</code> of the source; <code>igris help</code> has the commands.</p>
        </section>
      </div>
      <section class="card">
        <h2>Licences</h2>
        <p class="muted">Igris is under Apache-2.0. It is built with these packages:</p>
        <details><summary safe>{`${LICENCES.length} packages`}</summary>
          <div class="scroll" tabindex="0" role="region" aria-label="Packages">
            <table class="licences">
              <thead><tr><th>Package</th><th>Version</th><th>Licence</th></tr></thead>
              <tbody>{LICENCES.map(({ name, version, licence }) => <tr><td safe>{name}</td><td class="muted" safe>{version}</td><td class="muted" safe>{licence}</td></tr>)}</tbody>
            </table>
          </div>
        </details>
      </section>
    </SettingsShell>
  )
}

function Facts({ installation, now }: { installation: InstallationShown; now: number }) {
  return (
    <dl class="facts">
      <dt>Version</dt><dd safe>{installation.version}</dd>
      <dt>Runtime</dt><dd safe>{installation.runtime}</dd>
      <dt>Started</dt><dd><When at={installation.startedAt} now={now} /></dd>
      <dt>Record</dt><dd>{installation.isRecordWritable ? <Badge state="ok" /> : <Badge state="failing" />}{installation.isRecordWritable ? ' takes writes' : ' takes no writes: every call is refused'}</dd>
      {installation.storage === null ? '' : <><dt>Database</dt><dd safe>{shownBytes(installation.storage.bytes)}</dd><dt>Data folder</dt><dd><code safe>{shownText(installation.storage.folder, 300)}</code></dd></>}
    </dl>
  )
}

export function RetentionPage({ viewer, installation, mayExport }: InstallationPageProps & { mayExport: boolean }) {
  const days = installation?.auditRetentionDays ?? 0
  return (
    <SettingsShell title="Retention" tab="Retention" viewer={viewer}>
      <SettingsHead title="Retention" about="How long the record is kept, and how to take it along." />
      <div class="pair">
        <section class="card">
          <h2>The record</h2>
          <dl class="facts">
            <dt>Kept for</dt><dd>{days === 0 ? 'ever: nothing is deleted' : <span safe>{days === 1 ? 'a day' : `${days} days`}</span>}</dd>
            <dt>Written</dt><dd>{installation?.auditSync === 'full' ? 'to the disk before each answer' : 'at once, and to the disk within half a second'}</dd>
            {installation?.storage == null ? '' : <><dt>Database</dt><dd safe>{shownBytes(installation.storage.bytes)}</dd></>}
          </dl>
          <p class="muted small apart">Whoever runs Igris sets this for all organizations: <code>auditRetentionDays</code> in <code>igris.json</code>, or <code>IGRIS_AUDIT_RETENTION_DAYS</code>. Old rows go in the background, a few at a time, and each round is an event of the record (<a href="/audit?q=audit.prune">audit.prune</a>). The space is used again, but the file does not shrink.</p>
        </section>
        <section class="card">
          <h2>Export</h2>
          {mayExport ? (
            <>
              <p class="muted">The whole record of this organization. To take along a part, set the filter in <a href="/audit">Audit</a> first and export there.</p>
              <div class="row"><a class="button" href="/api/v1/audit-events/export?format=jsonl" download="">Export as JSON lines</a><a class="button" href="/api/v1/audit-events/export?format=csv" download="">Export as CSV</a></div>
            </>
          ) : <p class="muted">Your role may not export the record.</p>}
        </section>
      </div>
    </SettingsShell>
  )
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']

export function shownBytes(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`
}
