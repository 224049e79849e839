import { z } from 'zod'
import { REFUSALS, type RefusalCode } from '../core/result.ts'
import { API_PREFIX } from './api/prefix.ts'
import type { AnyRoute } from './api/route.ts'

type Json = Record<string, unknown>

const ErrorBody = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'requestId'],
      properties: {
        code: { type: 'string', enum: Object.keys(REFUSALS) },
        message: { type: 'string' },
        requestId: { type: 'string' },
        issues: {
          type: 'array',
          items: { type: 'object', required: ['path', 'message'], properties: { path: { type: 'string' }, message: { type: 'string' } } },
        },
      },
    },
  },
}

/** An OpenAPI 3.1 document of exactly the routes given, from the same schemas that read requests. */
export function openApiDocument(routes: AnyRoute[], version: string): Json {
  const paths: Record<string, Json> = {}
  for (const route of routes) {
    const path = `${API_PREFIX}${route.path.replace(/:(\w+)/g, '{$1}')}`
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Igris',
      version,
      description: 'Connections, policies, sessions, keys and the record of an Igris gateway. Times are ISO 8601 UTC with milliseconds. Unknown fields and parameters are errors.',
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'bearer', description: 'An API key of scope "full".' },
        session: { type: 'apiKey', in: 'cookie', name: 'igris.session_token', description: 'The dashboard\'s own sign-in.' },
      },
      schemas: { Error: ErrorBody },
      headers: { RequestId: { description: 'Names this request in log and record.', schema: { type: 'string' } } },
    },
  }
}

function operationOf(route: AnyRoute): Json {
  const needs = route.permission === null ? '' : `Needs the permission \`${route.permission}\`.`
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    description: [route.description, needs].filter(Boolean).join(' '),
    parameters: [...pathParameters(route), ...queryParameters(route), ...headerParameters(route)],
    ...(route.body === undefined ? {} : { requestBody: { required: route.isBodyOptional !== true, content: { 'application/json': { schema: inputSchema(route.body) } } } }),
    responses: responsesOf(route),
  }
}

function pathParameters(route: AnyRoute): Json[] {
  return [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }))
}

function queryParameters(route: AnyRoute): Json[] {
  if (route.query === undefined) return []
  const schema = inputSchema(route.query) as { properties?: Record<string, Json>; required?: string[] }
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const { description, ...type } = property
    return { name, in: 'query', required: schema.required?.includes(name) ?? false, ...(description === undefined ? {} : { description }), schema: type }
  })
}

function headerParameters(route: AnyRoute): Json[] {
  return route.path === '/events' ? [{ name: 'Last-Event-ID', in: 'header', required: false, schema: { type: 'string' } }] : []
}

function responsesOf(route: AnyRoute): Json {
  const headers = { 'X-Igris-Request-Id': { $ref: '#/components/headers/RequestId' } }
  const { answer } = route
  const good = answer.kind === 'document'
    ? { 200: { description: answer.description, headers, content: Object.fromEntries(answer.mediaTypes.map((type) => [type.split(';')[0], { schema: { type: 'string' } }])) } }
    : { [answer.status]: { description: route.summary, headers, content: { 'application/json': { schema: envelopeOf(answer) }, ...(answer.hasProgress === true ? { 'text/event-stream': { schema: { type: 'string' } } } : {}) } } }
  const responses: Json = { ...good }
  for (const [status, codes] of refusalsOf(route)) {
    responses[status] = { description: codes.map((code) => `\`${code}\``).join(', '), headers, content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } }
  }
  return responses
}

function envelopeOf(answer: Extract<AnyRoute['answer'], { kind: 'json' }>): Json {
  const meta = { type: 'object', properties: { nextCursor: { type: 'string', description: 'Opaque; absent on the last page.' } } }
  return { type: 'object', required: ['data'], properties: { data: outputSchema(answer.schema), ...(answer.isPaged === true ? { meta } : {}) } }
}

/** The refusals that a route can answer with, by status. */
function refusalsOf(route: AnyRoute): Map<number, RefusalCode[]> {
  const isChange = route.method !== 'GET'
  const codes: RefusalCode[] = ['invalid_request', 'unauthorized', 'forbidden', 'session_suspended', 'internal']
  if (route.path.startsWith('/connections/:')) codes.push('connection_not_found')
  else if (route.path.includes(':') || route.tag === 'Organization') codes.push('not_found')
  if (route.body !== undefined) codes.push('payload_too_large', 'unsupported_media_type')
  if (isChange) codes.push('conflict', 'audit_unavailable')
  if (route.id === 'exportAuditEvents') codes.push('audit_unavailable')
  if (route.id === 'followEvents' || (route.answer.kind === 'json' && route.answer.hasProgress === true)) codes.push('overloaded')
  const byStatus = new Map<number, RefusalCode[]>()
  for (const code of codes) byStatus.set(REFUSALS[code].http, [...(byStatus.get(REFUSALS[code].http) ?? []), code])
  return byStatus
}

function inputSchema(schema: z.ZodType): Json {
  return withoutDialect(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }))
}

function outputSchema(schema: z.ZodType): Json {
  return withoutDialect(z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }))
}

function withoutDialect(schema: object): Json {
  const { $schema: _dialect, ...rest } = schema as Json
  return rest
}
