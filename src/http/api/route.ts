import type { z } from 'zod'
import type { Actor } from '../../core/caller.ts'
import type { Page } from '../../core/audit.ts'
import { ok, type Result } from '../../core/result.ts'
import type { Permission } from '../../core/role.ts'
import type { RestData } from '../rest-reply.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/**
 * One verb on one path: what it reads, what it answers, and the one operation that it calls. Both the server and `openapi.json` are made
 * from these, so that neither can know a route that the other does not.
 */
export interface Route<Query = never, Body = never> {
  method: Method
  /** Below `/api/v1`, with `:name` for parameters. */
  path: string
  /** Unique, for generated clients: `createConnection`. */
  id: string
  tag: string
  summary: string
  description?: string
  /** Which permission the operation asks for. Said in the description only: the operation itself enforces it. */
  permission: Permission | null
  query?: z.ZodType<Query>
  body?: z.ZodType<Body>
  isBodyOptional?: boolean
  /** Where bodies may be larger than usual. */
  bodyBytesMax?: number
  answer: AnswerShape
  run(input: RouteInput<Query, Body>): Promise<Result<RestData> | Response>
}

export type AnswerShape =
  | { kind: 'json'; status: 200 | 201; schema: z.ZodType; isPaged?: boolean; hasProgress?: boolean }
  | { kind: 'document'; mediaTypes: string[]; description: string }

export interface RouteInput<Query, Body> {
  actor: Actor
  params: Record<string, string>
  query: Query
  body: Body
  request: Request
  requestId: string
  /** Resolves the caller once more, for answers that outlive it. */
  resolveAgain(): Promise<Result<Actor>>
}

/** A route whose types have been checked, among others of other types. */
export type AnyRoute = Omit<Route<never, never>, 'query' | 'body' | 'run'> & {
  query?: z.ZodType
  body?: z.ZodType
  run(input: RouteInput<unknown, unknown>): Promise<Result<RestData> | Response>
}

/** Ties the types of query, body and operation together, then forgets them. */
export function route<Query = undefined, Body = undefined>(spec: Route<Query, Body>): AnyRoute {
  // Safe: `serve-route.ts` hands `run` only what `query` and `body` have parsed.
  return spec as unknown as AnyRoute
}

/** An operation's value as the `data` of an answer. */
export async function dataOf(result: Promise<Result<unknown>>): Promise<Result<RestData>> {
  const settled = await result
  return settled.ok ? ok({ data: settled.value }) : settled
}

export async function pageOf(result: Promise<Result<Page<unknown>>>): Promise<Result<RestData>> {
  const settled = await result
  if (!settled.ok) return settled
  const { items, nextCursor } = settled.value
  return ok({ data: items, ...(nextCursor === undefined ? {} : { nextCursor }) })
}

