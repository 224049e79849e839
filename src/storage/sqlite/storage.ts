import { chmodSync, closeSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs'
import type { KeyId, McpSessionId, PersonSessionId, SessionId } from '../../core/ids.ts'
import type { Log, Storage } from '../../core/ports.ts'
import type { AgentSession } from '../../core/session.ts'
import type { EpochMs } from '../../core/time.ts'
import { acknowledgementStore } from './acknowledgements.ts'
import { SqliteAuditLog } from './audit-log.ts'
import { Background } from './background.ts'
import { connectionStore } from './connections.ts'
import type { OpenedDatabase } from './database.ts'
import { durableWrites } from './durable.ts'
import { GroupCommit } from './group-commit.ts'
import { invitationStore } from './invitations.ts'
import { keyStore, TOUCH_KEY } from './keys.ts'
import { mcpSessionStore, TOUCH_MCP_SESSION } from './mcp-sessions.ts'
import { mcpTaskStore } from './mcp-tasks.ts'
import { oidcIdentityStore } from './oidc-identities.ts'
import { organizationStore } from './organizations.ts'
import { personStore } from './people.ts'
import { personSessionStore, TOUCH_PERSON_SESSION } from './person-sessions.ts'
import { policyStore } from './policies.ts'
import { policyVersionStore } from './policy-versions.ts'
import { secondFactorStore } from './second-factors.ts'
import { sessionStore, TOUCH_SESSION } from './sessions.ts'
import { settingStore } from './settings.ts'
import { signOnStore } from './sign-ons.ts'
import { toolStore } from './tools.ts'
import { Touches } from './touches.ts'
import { WalSync } from './wal-sync.ts'

/** After this many commits the log is moved into the database in the background, at most once in the interval. */
const CHECKPOINT_COMMITS = 100
const CHECKPOINT_INTERVAL_MS = 200

export interface SqliteStorageOptions {
  opened: OpenedDatabase
  auditSync: 'window' | 'full'
  log: Log
}

/** All stores on one opened database. It owns the database from here on, and closes it. */
export function sqliteStorage({ opened: { db, path }, auditSync, log }: SqliteStorageOptions): Storage {
  // Makes sure that the log file exists before a descriptor of our own is opened on it.
  db.run('PRAGMA wal_checkpoint(PASSIVE)')
  const sync = new WalSync(path, auditSync, log)
  const commit = new GroupCommit(db, sync, log)
  const durably = durableWrites(sync)
  const background = new Background(path, log)
  checkpointInBackground(commit, background)

  const touchKey = db.prepare(TOUCH_KEY)
  const keyTouches = new Touches<KeyId, EpochMs>(commit, log, (id, at) => { touchKey.run(at, id) })
  const touchMcpSession = db.prepare(TOUCH_MCP_SESSION)
  const mcpTouches = new Touches<McpSessionId, EpochMs>(commit, log, (id, at) => { touchMcpSession.run(at, id) })
  const touchPersonSession = db.prepare(TOUCH_PERSON_SESSION)
  const personTouches = new Touches<PersonSessionId, EpochMs>(commit, log, (id, at) => { touchPersonSession.run(at, id) })
  const touchSession = db.prepare(TOUCH_SESSION)
  const sessionTouches = new Touches<SessionId, AgentSession>(commit, log, (id, session) => {
    touchSession.run(session.toolCallsCount, session.lastCallAt, session.user, id)
  })
  const auditLog = new SqliteAuditLog(db, commit, log)

  return {
    organizations: organizationStore(db, durably),
    people: personStore(db, durably),
    personSessions: personSessionStore(db, durably, personTouches),
    invitations: invitationStore(db, durably),
    secondFactors: secondFactorStore(db, durably),
    oidcIdentities: oidcIdentityStore(db, durably),
    signOns: signOnStore(db, durably),
    keys: keyStore(db, durably, keyTouches),
    connections: connectionStore(db, durably),
    policies: policyStore(db, durably),
    policyVersions: policyVersionStore(db),
    tools: toolStore(db, commit),
    sessions: sessionStore(db, commit, sessionTouches),
    mcpSessions: mcpSessionStore(db, commit, mcpTouches),
    mcpTasks: mcpTaskStore(db, commit),
    auditLog,
    acknowledgements: acknowledgementStore(db, durably),
    settings: settingStore(db, durably),
    backup: (target) => writeBackup(background, target),
    async sizeBytes() {
      return statSync(path).size + (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0)
    },
    async close() {
      for (const touches of [keyTouches, mcpTouches, personTouches, sessionTouches]) await touches.close()
      await auditLog.close()
      commit.close()
      await background.close()
      await sync.close()
      // Best effort: a log that stays behind is read at the next start.
      try { db.run('PRAGMA wal_checkpoint(TRUNCATE)') } catch (error) { log.write('warn', 'the write-ahead log stays behind', { error: String(error) }) }
      db.close()
    },
  }
}

function checkpointInBackground(commit: GroupCommit, background: Background): void {
  let commits = 0
  let last = performance.now()
  commit.onCommit(() => {
    if (++commits < CHECKPOINT_COMMITS) return
    const now = performance.now()
    if (now - last < CHECKPOINT_INTERVAL_MS) return
    commits = 0
    last = now
    background.checkpoint()
  })
}

/** The file is ours (0600) and empty before a byte is written to it, on disk when this resolves, and gone when it failed. */
async function writeBackup(background: Background, target: string): Promise<void> {
  closeSync(openSync(target, 'wx', 0o600))
  try {
    await background.backup(target)
    chmodSync(target, 0o600)
    const fd = openSync(target, 'r')
    try { fsyncSync(fd) } finally { closeSync(fd) }
  } catch (error) {
    rmSync(target, { force: true })
    throw error
  }
}
