import { join } from 'node:path'
import { rmSync } from 'node:fs'
import type { Server } from 'bun'
import type { Config } from './config.ts'
import { AccountReset, accountResetControl } from './control/account-reset.ts'
import type { AccountResetView } from './control/account-reset.ts'
import { FirstOwner } from './control/setup.ts'
import { ok, refuse } from './core/result.ts'
import type { Result } from './core/result.ts'
import { METRICS_CONTENT_TYPE } from './events/metrics.ts'
import { createControlSocket } from './http/control-socket.ts'
import type { LocalOperations } from './http/control-socket.ts'
import { createHealth } from './http/health.ts'
import type { Health } from './http/health.ts'
import { createHostGuard } from './http/host-guard.ts'
import { lazyHandler } from './http/lazy-handler.ts'
import { createMcpDoor } from './http/mcp.ts'
import { createRouter } from './http/router.ts'
import type { PeopleHandler, RequestHandler } from './http/router.ts'
import { idleTimeoutSeconds, listenControl, listenTcp } from './http/server.ts'
import { openInstallation } from './installation.ts'
import type { Installation } from './installation.ts'
import { createSetupLink } from './setup-link.ts'
import type { SetupLink } from './setup-link.ts'
import { startUpkeep } from './upkeep.ts'

/** The product as the command line sees it. */
export interface Igris {
  /** Handles a REST request as the local operator, owner of the first organization. */
  api(request: Request): Promise<Response>
  /** Starts listening on TCP and on the control socket. Throws when the address is taken. */
  serve(): Promise<{ url: string; stop(reason?: string): Promise<void> }>
  /** One set-up link while nobody owns the installation, else null. */
  setupUrl(): Promise<string | null>
  createOwner(input: { email: string; password: string; organization: string }): Promise<Result<{ organizationId: string; personId: string }>>
  rotateMasterKey(newKey?: string): Promise<Result<{ connections: number }>>
  /** Another password for somebody who lost theirs; see `AccountReset`. */
  resetPassword(input: unknown): Promise<Result<AccountResetView>>
  /** Writes a copy of the database that `igris restore` takes. */
  backup(path: string): Promise<Result<void>>
  close(): Promise<void>
}

const DEPTH_MAX = 64
const BATCH_MAX = 100
/** Long enough for the first calls after a start not to wait for it. */
const DOORS_WARM_AFTER_MS = 1000
/** After the grace time, how long cut calls get to tell their callers and to complete their records. */
const CUT_GRACE_MS = 2000

/** Opens the data folder and builds every door to it. Nothing listens until `serve`. */
export async function composeIgris(config: Config, options: { isDemo?: boolean; version: string }): Promise<Result<Igris>> {
  const opened = await openInstallation(config, options)
  if (!opened.ok) return opened
  const inst = opened.value
  // The framework is loaded when first asked for: the path of a call does not wait for it.
  const address = { url: config.publicUrl ?? addressOf(config, config.port) }
  const localApi = lazyHandler(async () => (await import('./doors.ts')).localApi(inst, { version: options.version, publicUrl: address.url }))
  const setup = createSetupLink(inst.ids)
  return ok({
    api: (request) => localApi.handle(request),
    serve: async () => {
      const serving = await serve(inst, { version: options.version, localApi, setup })
      address.url = serving.url
      return serving
    },
    setupUrl: async () => ((await inst.control.setup.isNeeded()) ? setup.url() : null),
    createOwner: (input) => createOwner(inst, input),
    rotateMasterKey: (newKey) => inst.rotateMasterKey(newKey),
    resetPassword: (input) => resetPassword(inst, input),
    backup: (path) => backup(inst, path),
    close: () => inst.close(),
  })
}

async function serve(inst: Installation, { version, localApi, setup }: { version: string; localApi: RequestHandler; setup: SetupLink }): Promise<{ url: string; stop(reason?: string): Promise<void> }> {
  const { config, gateway, ids, log } = inst
  const guard = createHostGuard(config)
  let isWarm = false
  const health = createHealth({
    auditLog: inst.storage.auditLog,
    clock: inst.clock,
    isStopping: () => gateway.isStopping,
    isWarm: () => isWarm,
    renderMetrics: () => inst.metrics.render(),
    metricsContentType: METRICS_CONTENT_TYPE,
    metricsToken: config.metricsToken,
  })
  const router = createRouter({
    mcp: createMcpDoor(gateway, guard, ids, { requestBytesMax: config.requestBytesMax, depthMax: DEPTH_MAX, batchMax: BATCH_MAX, idleTimeoutSeconds: idleTimeoutSeconds(config.requestTimeoutMs), publicUrl: config.publicUrl }),
    api: lazyHandler(async () => (await import('./doors.ts')).keyedApi(inst, version)),
    setup: lazyHandler(async () => (await import('./doors.ts')).setupPage(inst, setup)),
    people: lazyPages(async () => (await import('./doors.ts')).peopleDoor(inst)),
    dashboard: lazyPages(async () => (await import('./doors.ts')).dashboardDoor(inst)),
    health, guard, ids, log,
    isMetricsElsewhere: config.metricsPort !== undefined,
  })
  const endUpkeep = await startUpkeep(inst)
  // A bug in one call's background work must not end everybody else's calls.
  const logUnhandled = (error: unknown) => log.write('error', 'unhandled rejection', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  process.on('unhandledRejection', logUnhandled)
  const tcp = listenTcp({ host: config.host, port: config.port, requestTimeoutMs: config.requestTimeoutMs, handle: router })
  const metricsServer = listenMetrics(config, health)
  const socketPath = join(inst.folder, 'control.sock')
  const control = listenControl(socketPath, createControlSocket({ api: localApi, operations: localOperations(inst), log, nextRequestId: () => ids.next('req') }))
  isWarm = true
  // Loading the framework stalls everybody for some 30 ms; better soon after the start than under the first person's request, who reports a failure.
  setTimeout(() => void import('./doors.ts').catch(() => {}), DOORS_WARM_AFTER_MS).unref()
  const url = config.publicUrl ?? addressOf(config, tcp.port ?? config.port)
  setup.listeningAt(url)
  inst.controlPorts.accessChanges.listen(() => void offerSetUpAgain(inst, setup))
  log.write('info', 'listening', { url })
  return { url, stop: once(() => stop(inst, { servers: [tcp, control, ...(metricsServer === null ? [] : [metricsServer])], socketPath, endUpkeep, logUnhandled })) }
}

function addressOf({ host }: Config, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Whoever deletes the last organization leaves nobody who could get in, and the first link is used: the operator finds a new one in the log. */
async function offerSetUpAgain({ controlPorts, log }: Installation, setup: SetupLink): Promise<void> {
  if ((await controlPorts.organizations.list()).length > 0) return
  log.write('warn', 'nobody owns this installation any more; this link sets it up', { url: setup.renew() })
}

/** Refuses new calls, lets those under way finish within the grace time, then cuts what is left; every record is completed. */
async function stop(inst: Installation, running: { servers: Server<unknown>[]; socketPath: string; endUpkeep(): Promise<void>; logUnhandled(error: unknown): void }): Promise<void> {
  const { gateway, log, config } = inst
  gateway.isStopping = true
  if (!(await gateway.calls.idle(config.shutdownGraceMs))) {
    log.write('warn', 'cutting calls that did not finish in time', { count: gateway.calls.count() })
  }
  // Also the streams that only listen, which would never finish.
  gateway.calls.cutAll('stopping')
  await gateway.calls.empty(CUT_GRACE_MS)
  inst.events.close()
  await running.endUpkeep()
  // Answers that are complete but not yet with their readers, and requests of the API, get the same time again.
  await Promise.race([Promise.all(running.servers.map((server) => server.stop())), Bun.sleep(Math.max(CUT_GRACE_MS, config.shutdownGraceMs))])
  for (const server of running.servers) await server.stop(true)
  rmSync(running.socketPath, { force: true })
  process.off('unhandledRejection', running.logUnhandled)
  log.write('info', 'stopped')
}

function listenMetrics(config: Config, health: Health): Server<unknown> | null {
  if (config.metricsPort === undefined || config.metricsHost === undefined) return null
  return listenTcp({
    host: config.metricsHost,
    port: config.metricsPort,
    requestTimeoutMs: config.requestTimeoutMs,
    handle: async (request) => (new URL(request.url).pathname === '/metrics' ? health.metrics(request) : new Response('not found\n', { status: 404 })),
  })
}

function localOperations(inst: Installation): LocalOperations {
  return {
    status: async () => ({ isSetUp: !(await inst.control.setup.isNeeded()), pid: process.pid }),
    async init(input) {
      const parsed = FirstOwner.safeParse(input)
      if (!parsed.success) return refuse('invalid_request', 'email, password and organization are needed.')
      return createOwner(inst, parsed.data)
    },
    rotateMasterKey: (newKey) => inst.rotateMasterKey(newKey),
    resetPassword: (input) => resetPassword(inst, input),
    backup: (path) => backup(inst, path),
  }
}

async function createOwner(inst: Installation, input: FirstOwner): Promise<Result<{ organizationId: string; personId: string }>> {
  const created = await inst.control.setup.createOwner(input)
  return created.ok ? ok({ organizationId: created.value.organization.id, personId: created.value.owner.id }) : created
}

async function resetPassword(inst: Installation, input: unknown): Promise<Result<AccountResetView>> {
  const parsed = AccountReset.safeParse(input)
  if (parsed.success) return accountResetControl(inst.controlPorts).reset(parsed.data)
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
  return refuse('invalid_request', 'The password cannot be reset like this.', { issues })
}

async function backup(inst: Installation, path: string): Promise<Result<void>> {
  try {
    await inst.storage.backup(path)
    return ok(undefined)
  } catch (error) {
    return refuse('internal', `The backup could not be written: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function lazyPages(load: () => Promise<PeopleHandler>): PeopleHandler {
  let loading: Promise<PeopleHandler> | null = null
  return {
    async handle(request, path, ip) {
      loading ??= load()
      return (await loading).handle(request, path, ip)
    },
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null
  return () => (running ??= work())
}
